// Hue, saturation and value in 8 bits each, as Pillow's mode HSV has them. A hue of 255 is a whole turn.
#pragma once

#include "vitrail/data/augment/rgb_blocks.h"

namespace vitrail::data {

/// Converts the first pixels from red, green, blue to hue, saturation, value. Thread: no state.
void rgb_to_hsv(RgbBlock& block, int64_t pixels);
/// Converts back. The two are not exact inverses, because 8 bits are too few for a hue.
void hsv_to_rgb(RgbBlock& block, int64_t pixels);

}  // namespace vitrail::data
