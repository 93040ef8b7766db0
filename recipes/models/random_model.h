// Published architectures by name, with random weights.
#pragma once

#include "vitrail/recipes/models/published_model.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

struct RandomModelOptions {
  uint64_t seed = 0;
  int64_t num_classes = 0;                          // of image models; 0: no classifier
  std::optional<std::filesystem::path> vocabulary;  // of a CLIP; its size becomes the model's
};

/// vit_small (nn::vit_variants(), patches of 16), vit_base_p32, deit_small, dino_vit_s16, dinov2_vit_b14,
/// dinov2_vit_b14_reg, clip_vit_b32 and open_clip's names.
std::vector<std::string> random_model_names();

/// Throws ConfigError for an unknown name, with the nearest known one, and for options that the model does not have;
/// IoError for a vocabulary that cannot be read.
PublishedModel random_model(std::string_view arch, const RandomModelOptions& options);

}  // namespace vitrail::recipes
