// The names that OpenAI and open_clip give the weights of a Clip.
#pragma once

#include "../core/tensor_map.h"

#include <string>
#include <string_view>

namespace vitrail::nn {

/// "visual.transformer.resblocks.0.attn.in_proj_weight" for "visual.blocks.0.attn.qkv.weight", and so on. Names that
/// have no other stay as they are.
std::string openai_clip_name(std::string_view ours);
std::string our_clip_name(std::string_view openais);

/// Weights (or their gradients) under the other names, in the other layout: OpenAI keeps both projections transposed,
/// and its class token and positions without leading axes. No elements are copied but those of the projections.
TensorMap to_openai_clip(const TensorMap& ours);
TensorMap from_openai_clip(const TensorMap& openais);

}  // namespace vitrail::nn
