// Supervised classification of images by a vision transformer or a ResNet. Options: initial weights, Mixup and CutMix,
// a teacher (DeiT), a moving average of the weights.
#pragma once

#include "vitrail/data/augment/mixup.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/build/build_model.h"
#include "vitrail/recipes/build/build_optimizer.h"
#include "vitrail/recipes/build/train_keys.h"
#include "vitrail/recipes/methods/distillation.h"
#include "vitrail/recipes/run/recipe.h"

namespace vitrail::recipes {

struct SupervisedConfig final : RecipeConfig {
  std::string init;
  std::vector<std::string> accept_keys;
  enum class Compat { none, deit } compat = Compat::none;
  ModelConfig model;
  LoraSection lora;
  DataConfig data;
  OptimConfig optim;
  ScheduleConfig schedule;
  struct Loss {
    std::vector<std::string> class_weights;

    void describe(Fields& f);
  } loss;
  DistillationConfig distillation;
  struct Train : TrainKeys {
    double label_smoothing = 0;
    double mixup = 0, cutmix = 0;
    double mixup_prob = 1, mixup_switch_prob = 0.5;
    data::MixupMode mixup_mode = data::MixupMode::batch;
    double ema_decay = 0;
    int64_t eval_every = 1;

    void describe(Fields& f);
  } train;

  void describe(Fields& f) override;
  std::vector<std::string> settle(Config& config) override;
  Sections sections() const override { return {data, train.batch_size}; }
  void open(const TensorMap& state, OpenModel& opened) const override;
  Adapters adapters() const override { return {&lora, init}; }
  std::unique_ptr<nn::Backbone> build_backbone(const nn::Scope& scope, int64_t num_classes) const override {
    return build_model(scope, model, data.img_size, num_classes);
  }
  Preview preview(int64_t count) const override;
  std::unique_ptr<Recipe> build() const override;
};

}  // namespace vitrail::recipes
