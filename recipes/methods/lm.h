// lm: a decoder learns to predict the next token of texts.
#pragma once

#include "vitrail/recipes/build/build_optimizer.h"
#include "vitrail/recipes/build/train_keys.h"
#include "vitrail/recipes/models/language_model.h"
#include "vitrail/recipes/run/recipe.h"

#include <string>

namespace vitrail::recipes {

struct LmConfig final : RecipeConfig {
  struct Model {
    int64_t embed_dim = 256, hidden_dim = 688, depth = 6, num_heads = 8;
    std::optional<int64_t> num_kv_heads;
    double rope_theta = 10000;
    bool tied = true;

    void describe(Fields& f);
  } model;
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
    int64_t accumulate = 1;
    int64_t eval_every = 1;

    void describe(Fields& f);
  } train;

  LmConfig();  // sets the defaults of language models
  void describe(Fields& f) override;
  /// The architecture for a vocabulary of so many tokens.
  nn::LlamaConfig llama(int64_t vocab_size) const;
  // In lm_recipe.cpp, beside what it builds.
  std::unique_ptr<Recipe> build() const override;
};

}  // namespace vitrail::recipes
