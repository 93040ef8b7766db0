// The family of image models alone: ViT, DeiT, DINO, DINOv2.
#pragma once

#include "vitrail/recipes/models/model_family.h"

#include <memory>
#include <string>

namespace vitrail::recipes {

/// A vision transformer of these sizes, without weights.
std::shared_ptr<const Architecture> vit_architecture(const nn::VitConfig& config);
/// See ModelFamily::from_weights.
std::shared_ptr<const Architecture> vit_from_weights(const TensorMap& weights, const nn::Layout& layout,
                                                     const std::string& source, const nn::Unwritten& unwritten);

/// Fills in the facts that a configuration leaves to the weights. shapes: the architecture that follows from the
/// weights. Throws IoError naming the first size in which the two differ.
void complete(nn::VitConfig& config, const nn::VitConfig& shapes, const std::string& source);
/// "12 blocks of width 768, 12 heads, images of 224, patches of 16"
std::string describe(const nn::VitConfig& config);

}  // namespace vitrail::recipes
