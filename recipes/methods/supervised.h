// Supervised classification: a vision transformer or ResNet, cross-entropy on labels; optionally from given weights, on
// mixed images, with a teacher (DeiT), with an averaged model.
#pragma once

#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/build/build_model.h"
#include "vitrail/recipes/build/build_optimizer.h"
#include "vitrail/recipes/methods/distillation.h"
#include "vitrail/recipes/run/recipe.h"

namespace vitrail::recipes {

struct SupervisedConfig final : RecipeConfig {
  std::string init;
  std::string compat = "none";
  ModelConfig model;
  DataConfig data;
  OptimConfig optim;
  ScheduleConfig schedule;
  DistillationConfig distillation;
  struct Train {
    int64_t epochs = 100;
    int64_t batch_size = 128;
    int64_t accumulate = 1;
    double label_smoothing = 0;
    double mixup = 0, cutmix = 0;
    double mixup_prob = 1, mixup_switch_prob = 0.5;
    std::string mixup_mode = "batch";
    double ema_decay = 0;
    int64_t eval_every = 1;
    int64_t checkpoint_every = 0;
    int64_t log_every = 10;

    void describe(Fields& f);
  } train;

  void describe(Fields& f) override;
  Sections sections() const override { return {data, train.batch_size, {{"ema/", true}, {"model/", false}}}; }
  std::unique_ptr<nn::Backbone> build_backbone(const nn::Scope& scope, int64_t num_classes) const override {
    return build_model(scope, model, data.img_size, num_classes);
  }
  Preview preview(int64_t count) const override;
  std::unique_ptr<Recipe> build() const override;
};

}  // namespace vitrail::recipes
