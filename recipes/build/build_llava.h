// The `tower:`, `projector:` and `decoder:` sections of a llava recipe, and the model that they describe.
#pragma once

#include "vitrail/nn/models/llava.h"
#include "vitrail/recipes/build/build_model.h"
#include "vitrail/recipes/config/fields.h"

#include <optional>
#include <string>
#include <vector>

namespace vitrail::recipes {

struct LlavaModelConfig {
  struct Tower {
    std::string init;
    nn::VisionTower kind = nn::VisionTower::vit;
    ModelConfig vit;  // its keys are those of the section
    std::vector<int64_t> feature_layer{-2};
    bool feature_norm = false;
    nn::FeatureSelect select = nn::FeatureSelect::patch;
    int64_t pixel_shuffle = 1;
    bool prefix = false;

    Tower() { vit.arch = kFromInit; }
    void describe(Fields& f);
  } tower;
  struct Projector {
    int64_t depth = 2;
    bool bias = true;

    void describe(Fields& f);
  } projector;
  struct Decoder {
    std::string init, tokenizer;
    std::optional<int64_t> vocab_size, embed_dim;  // null: not known before the recipe is settled
    int64_t hidden_dim = 0, depth = 6, num_heads = 4, num_kv_heads = 0, head_dim = 0;
    double rms_eps = 1e-5, rope_theta = 10000;
    core::RopeScaling rope_scaling = {};
    bool qkv_bias = false, tied = true;
    int64_t context_length = 2048;
    bool checkpoint = false;

    void describe(Fields& f);
    /// Throws ConfigError if the sizes are not known.
    nn::LlamaConfig llama() const;
    /// Takes the sizes of a decoder.
    void set(const nn::LlamaConfig& llama);
  } decoder;

  void describe(Fields& f);
};

/// The model, without the blocks of the tower that no feature needs. Throws ConfigError for values that do not fit
/// together, or if a size is not known.
nn::LlavaConfig llava_config(const LlavaModelConfig& config, int64_t img_size);
/// The tower as it was before its last blocks were left out. Throws ConfigError for early fusion.
nn::VitConfig whole_tower(const LlavaModelConfig& config, int64_t img_size);

}  // namespace vitrail::recipes
