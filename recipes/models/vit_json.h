// config.json of Hugging Face for image models: ViT, DeiT, Dinov2, Dinov2 with registers. For sources of this folder
// only.
#pragma once

#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/recipes/models/hub_config.h"
#include "vitrail/recipes/models/model_family.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace vitrail::recipes {

/// The model types of Hugging Face that this family reads.
std::span<const HubModelType> vit_model_types();

/// The ratio from which DINOv2 and Hugging Face's Dinov2 compute the hidden width of the feed-forward; nothing if no
/// ratio gives this width. SwiGLU has a rule of its own: nn::swiglu_hidden.
std::optional<double> dinov2_mlp_ratio(const nn::VitConfig& config);
/// The layout of Hugging Face that fits the model.
const nn::Layout& hugging_face_layout(const nn::VitConfig& config);
/// classes: names of the outputs; a class without one is called LABEL_<number>. dtype: of the weights, see
/// torch_dtype(). Throws ConfigError naming the option that models of the layout do not have.
std::string to_config_json(const nn::VitConfig& config, const nn::Layout& layout,
                           const std::vector<std::string>& classes, const std::string& dtype);

}  // namespace vitrail::recipes
