// The sizes of a decoder in a recipe: the section `model:` of lm, `decoder:` of llava.
#pragma once

#include "vitrail/nn/models/llama.h"
#include "vitrail/recipes/config/fields.h"

#include <optional>

namespace vitrail::recipes {

struct DecoderSection {
  std::optional<int64_t> vocab_size, embed_dim;  // null: not known before the recipe is settled
  int64_t hidden_dim = 0, depth = 6, num_heads = 4, num_kv_heads = 0, head_dim = 0;
  double rms_eps = 1e-5, rope_theta = 10000;
  core::RopeScaling rope_scaling = {};
  bool qkv_bias = false, tied = true;
  int64_t context_length = 2048;
  bool checkpoint = false;

  /// All keys but context_length, whose meaning depends on the data.
  void describe(Fields& f);
  /// Throws ConfigError if the sizes are not known.
  nn::LlamaConfig llama() const;
  /// Takes the sizes of a decoder.
  void set(const nn::LlamaConfig& llama);
};

}  // namespace vitrail::recipes
