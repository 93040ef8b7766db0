// The `tower:`, `projector:` and `decoder:` sections of a llava recipe, and the model that they describe.
#pragma once

#include "vitrail/nn/models/llava.h"
#include "vitrail/recipes/build/build_model.h"
#include "vitrail/recipes/build/decoder_section.h"
#include "vitrail/recipes/config/fields.h"

#include <string>
#include <vector>

namespace vitrail::recipes {

struct LlavaModelConfig {
  struct Tower {
    std::string init;
    nn::VisionTower kind = nn::VisionTower::vit;
    ModelConfig vit;  // its keys are those of the section
    bool class_token = true;
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
  struct Decoder : DecoderSection {
    std::string init, tokenizer;

    void describe(Fields& f);
  } decoder;

  void describe(Fields& f);
};

/// The model, without the blocks of the tower that no feature needs. Throws ConfigError for values that do not fit
/// together, or if a size is not known.
nn::LlavaConfig llava_config(const LlavaModelConfig& config, int64_t img_size);
/// The tower as it was before its last blocks were left out. Throws ConfigError for early fusion.
nn::VitConfig whole_tower(const LlavaModelConfig& config, int64_t img_size);

}  // namespace vitrail::recipes
