// lm: a decoder learns to predict the next token of texts.
#pragma once

#include "vitrail/recipes/build/build_optimizer.h"
#include "vitrail/recipes/build/decoder_section.h"
#include "vitrail/recipes/build/train_keys.h"
#include "vitrail/recipes/models/language_model.h"
#include "vitrail/recipes/run/recipe.h"

#include <string>
#include <vector>

namespace vitrail::recipes {

struct LmConfig final : RecipeConfig {
  std::string init;
  std::vector<std::string> accept_keys;
  DecoderSection model;
  struct Data {
    std::string root, val_root, tokenizer;
    double val_share = 0.05;
    std::string separator = "<|endoftext|>";
    int64_t context_length = 256;

    void describe(Fields& f);
  } data;
  OptimConfig optim;
  ScheduleConfig schedule;
  struct Train : TrainKeys {
    int64_t eval_every = 1;

    void describe(Fields& f);
  } train;

  LmConfig();  // sets the defaults of language models
  void describe(Fields& f) override;
  /// Sets model.* to the sizes of init if model.embed_dim is null.
  std::vector<std::string> settle(Config& config) override;
  /// The architecture for a tokenizer of so many words. Throws ConfigError if its table has fewer rows.
  nn::LlamaConfig llama(int64_t words) const;
  // In lm_recipe.cpp, beside what it builds.
  std::unique_ptr<Recipe> build() const override;
};

}  // namespace vitrail::recipes
