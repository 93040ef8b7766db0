// CLIP: an image tower and a text tower learn to find each other's half of a pair. What they know of the world can then
// be asked in sentences: zero-shot classification, retrieval in both directions.
// Source: Radford et al. 2021 (arXiv:2103.00020); details as in open_clip.
#pragma once

#include "vitrail/recipes/build/build_clip.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/build/build_optimizer.h"
#include "vitrail/recipes/run/recipe.h"

#include <optional>
#include <string>
#include <vector>

namespace vitrail::recipes {

struct ClipConfig final : RecipeConfig {
  std::string init;
  std::string compat = "none";
  ClipModelConfig towers;
  /// Images with captions; other defaults than elsewhere, as pairs need them.
  struct Pairs final : DataConfig {
    std::vector<std::string> captions;

    Pairs();
    void describe(Fields& f);
  } data;
  struct Optim final : OptimConfig {
    bool decay_pos_embed = false;

    Optim();
    void describe(Fields& f);
  } optim;
  ScheduleConfig schedule;
  struct Train {
    std::string loss = "contrastive";
    int64_t epochs = 32;
    int64_t batch_size = 256;
    std::optional<int64_t> micro_batch;
    int64_t checkpoint_every = 0;
    int64_t log_every = 10;

    void describe(Fields& f);
  } train;
  struct Eval {
    int64_t every = 1;
    std::vector<std::string> captions;
    bool baselines = true;

    void describe(Fields& f);
  } eval;
  struct ZeroShot {
    std::string root, split = "val";
    std::string names, templates;

    void describe(Fields& f);
  } zero_shot;

  void describe(Fields& f) override;
  /// The towers, with what follows from the loss.
  ClipModelConfig clip() const;
  Sections sections() const override { return {data, train.batch_size, {{"model/visual.", false}}, false}; }
  std::unique_ptr<nn::Backbone> build_backbone(const nn::Scope& scope, int64_t num_classes) const override;
  Preview preview(int64_t count) const override;
  std::unique_ptr<Recipe> build() const override;
};

}  // namespace vitrail::recipes
