// The names that OpenAI and open_clip give the weights of a Clip.
#pragma once

#include "vitrail/core/tensor_map.h"

namespace vitrail::nn {

/// Weights (or their gradients) under the other names, in the other layout: OpenAI keeps both projections transposed,
/// and its class token and positions without leading axes. See layouts/layout.h for more of them.
TensorMap to_openai_clip(const TensorMap& ours);
TensorMap from_openai_clip(const TensorMap& openais);

}  // namespace vitrail::nn
