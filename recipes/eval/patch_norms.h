// Artifacts of a transformer: patches whose tokens have far larger norms than the others.
#pragma once

#include "vitrail/nn/backbone.h"
#include "vitrail/recipes/eval/attention_maps.h"

#include <optional>
#include <vector>

namespace vitrail::recipes {

/// The norms of an image's tokens after the last block, before the final norm, which would make them nearly equal.
struct TokenNorms {
  PatchMap patches;
  std::vector<double> prefix;  // class token, distillation token, registers
};
/// image: normalised, [1, 3, H, W]. Throws NumericError for norms that are not finite.
TokenNorms token_norms(nn::TokenBackbone& model, const Tensor& image);

/// Patches of all images together.
struct NormStatistics {
  int64_t patches = 0, outliers = 0;
  double median = 0, largest = 0;
  double cutoff = 0;  // a patch with a larger norm is an outlier

  /// Outliers as a share of all patches; 0 without patches.
  double share() const { return patches > 0 ? double(outliers) / double(patches) : 0; }
};
/// cutoff: of the norm; without it, ratio times the median norm.
/// Source: Darcet et al. 2024 (arXiv:2309.16588), section 2; their cutoff for DINOv2's ViT-g is 150.
NormStatistics norm_statistics(const std::vector<TokenNorms>& images, double ratio, std::optional<double> cutoff);

}  // namespace vitrail::recipes
