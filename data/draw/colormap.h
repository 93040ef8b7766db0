// Colour scales for maps and for classes.
#pragma once

#include "vitrail/data/draw/draw.h"

namespace vitrail::data {

/// From dark blue over green to yellow for 0..1. Lightness rises evenly, so the scale also works in grey. Other values
/// take the nearest end.
Color heat_color(double value);

/// A colour for class `index` of `count`, as different from the others as hues allow.
Color class_color(int64_t index, int64_t count);

/// a where share is 0, b where it is 1.
Color mix(Color a, Color b, double share);

}  // namespace vitrail::data
