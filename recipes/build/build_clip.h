// The `model:`, `vision:` and `text:` sections of a CLIP recipe, and the two towers that they describe.
#pragma once

#include "vitrail/nn/models/clip.h"
#include "vitrail/recipes/config/fields.h"

#include <optional>
#include <string>

namespace vitrail::recipes {

/// A published pair of towers by name, and the changes that the recipe makes to it. A null keeps the published value.
struct ClipModelConfig {
  struct Model {
    std::string arch = "ViT-B-32";
    std::optional<int64_t> embed_dim;
    std::optional<double> logit_scale, logit_bias;

    void describe(Fields& f);
  } model;
  struct Vision {
    std::string arch = "clip";
    std::optional<int64_t> patch_size, embed_dim, depth, num_heads;
    std::optional<double> mlp_ratio;
    double drop_path_rate = 0;
    double patch_drop_rate = 0;
    bool checkpoint = false;
    std::string init;
    bool lock = false;
    int64_t unlocked_groups = 0;

    void describe(Fields& f);
  } vision;
  struct Text {
    std::string vocab;
    int64_t vocab_size = 49408;
    int64_t context_length = 77;
    std::optional<int64_t> embed_dim, depth, num_heads;
    bool checkpoint = false;
    bool lock = false;
    int64_t unlocked_groups = 0;

    void describe(Fields& f);
  } text;

  void describe(Fields& f);
};

/// Throws ConfigError for values that do not fit together.
nn::ClipConfig clip_config(const ClipModelConfig& config, int64_t img_size, int64_t vocab_size);

/// The model. The parts that the recipe locks are frozen.
std::unique_ptr<nn::Clip> build_clip(const nn::Scope& scope, const ClipModelConfig& config, int64_t img_size,
                                     int64_t vocab_size);
/// The image tower alone. Its parameter names have no prefix "visual."
std::unique_ptr<nn::VisionTransformer> build_image_tower(const nn::Scope& scope, const ClipModelConfig& config,
                                                         int64_t img_size);

}  // namespace vitrail::recipes
