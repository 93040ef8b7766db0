// The size and the cost of an image network.
#pragma once

#include "vitrail/nn/backbone.h"
#include "vitrail/recipes/run/recipe.h"

#include <cstdint>

namespace vitrail::recipes {

/// The table of a network's layers and its cost for one image of that side.
ModelCard model_card(nn::Backbone& model, int64_t img_size);

}  // namespace vitrail::recipes
