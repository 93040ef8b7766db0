// The keys of other programs' configurations that cannot change what a model computes here.
#pragma once

#include "vitrail/recipes/config/json_object.h"

namespace vitrail::recipes {

/// Call it once the file has been read. Throws IoError naming the first key, at any depth, that nobody asked for,
/// unless it is known to be harmless; or a key of which one value alone is harmless and that has another.
void expect_all_read(const JsonObject& config);

}  // namespace vitrail::recipes
