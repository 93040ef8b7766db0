// What a transformer looks at: the attention in its last block, and the part that holds most of it.
#pragma once

#include "vitrail/data/image/image.h"
#include "vitrail/nn/models/vision_transformer.h"

#include <vector>

namespace vitrail::recipes {

/// A value for each patch of an image, row by row.
struct PatchMap {
  int64_t rows = 0, columns = 0;
  std::vector<double> values;
};

/// The attention that the patches receive in the last block, one map a head: from the class token, or in a model
/// without one the mean over all tokens. image is normalised, [1, 3, H, W]. Throws NumericError for attention that is
/// not finite.
std::vector<PatchMap> last_attention(nn::VisionTransformer& model, const Tensor& image);

/// 1 for the patches that hold the largest `mass` of the values' sum, 0 for the others.
/// Source: visualize_attention.py of DINO, there called threshold.
PatchMap keep_mass(const PatchMap& map, double mass);

/// The values scaled to 0..1.
PatchMap stretched(const PatchMap& map);

/// The map as colours over the image, each patch a square; opacity 1 hides the image.
data::Image overlay_heat(const data::Image& image, const PatchMap& map, double opacity);
/// The image as it is where mask is 1, darker elsewhere.
data::Image overlay_mask(const data::Image& image, const PatchMap& mask);
/// The image with the patches where mask is 1 in red.
data::Image overlay_marks(const data::Image& image, const PatchMap& mask);

}  // namespace vitrail::recipes
