// CLIP: an image tower and a text tower learn to match the images and captions of a batch. The trained towers classify
// images by sentences (zero-shot) and retrieve images by text and texts by image.
// Source: Radford et al. 2021 (arXiv:2103.00020); details as in open_clip.
#pragma once

#include "vitrail/recipes/build/build_clip.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/build/build_optimizer.h"
#include "vitrail/recipes/build/lora.h"
#include "vitrail/recipes/build/train_keys.h"
#include "vitrail/recipes/run/recipe.h"

#include <optional>
#include <string>
#include <vector>

namespace vitrail::recipes {

struct ClipConfig final : RecipeConfig {
  std::string init;
  std::vector<std::string> accept_keys;
  enum class Compat { none, open_clip } compat = Compat::none;
  ClipModelConfig towers;
  LoraSection lora;
  DataConfig data;
  std::vector<std::string> captions;  // key data.captions
  OptimConfig optim;
  bool decay_pos_embed = false;  // key optim.decay_pos_embed
  ScheduleConfig schedule;
  enum class Loss { contrastive, sigmoid };
  struct Train : TrainKeys {
    Loss loss = Loss::contrastive;
    std::optional<int64_t> micro_batch;

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

  ClipConfig();  // sets CLIP's own defaults
  void describe(Fields& f) override;
  std::vector<std::string> settle(Config& config) override;
  /// The towers; the sigmoid loss sets the initial scale and bias.
  ClipModelConfig clip() const;
  Sections sections() const override { return {data, train.batch_size, false}; }
  void open(const TensorMap& state, OpenModel& opened) const override;
  Adapters adapters() const override { return {&lora, init}; }
  std::unique_ptr<nn::Backbone> build_backbone(const nn::Scope& scope, int64_t num_classes) const override;
  // In clip_recipe.cpp, beside what they build.
  Preview preview(int64_t count) const override;
  std::unique_ptr<Recipe> build() const override;

 private:
  void describe_data(Fields& f);
  void describe_optim(Fields& f);
};

}  // namespace vitrail::recipes
