// Hue, saturation and value in 8 bits each, as Pillow's mode HSV has them. A hue of 255 is a whole turn.
#pragma once

#include "vitrail/data/augment/rgb_blocks.h"

namespace vitrail::data {

/// Red, green, blue of the first pixels become hue, saturation, value. Thread: no state.
void rgb_to_hsv(RgbBlock& block, int64_t pixels);
/// And back. The two are no exact inverses: 8 bits of a hue are too few.
void hsv_to_rgb(RgbBlock& block, int64_t pixels);

}  // namespace vitrail::data
