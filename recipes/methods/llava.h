// LLaVA: a language model that sees. The features of a vision tower are projected into the space of its words. Trained
// in two stages: the projector alone on captions, then projector and decoder on conversations about images.
// Source: Liu et al. 2023 (arXiv:2304.08485, arXiv:2310.03744); details as in haotian-liu/LLaVA.
#pragma once

#include "vitrail/data/load/conversation_order.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/build/build_llava.h"
#include "vitrail/recipes/build/build_optimizer.h"
#include "vitrail/recipes/build/lora.h"
#include "vitrail/recipes/build/train_keys.h"
#include "vitrail/recipes/run/recipe.h"

#include <optional>
#include <string>
#include <vector>

namespace vitrail::recipes {

enum class LlavaPart { tower, projector, decoder };

struct LlavaConfig final : RecipeConfig {
  enum class Stage { pretrain, instruct };

  Stage stage = Stage::instruct;
  std::string init;
  std::vector<std::string> accept_keys;
  LlavaModelConfig model;
  LoraSection lora;  // on the decoder
  DataConfig data;
  std::string prompt;                           // key data.template
  int64_t max_length = 2048;                    // key data.max_length
  data::Grouping group = data::Grouping::none;  // key data.group
  std::vector<std::string> families;            // key data.families
  bool shuffle_images = false;                  // key data.shuffle_images
  std::string cache_features;                   // key data.cache_features
  OptimConfig optim;
  std::optional<double> projector_lr;  // key optim.projector_lr
  ScheduleConfig schedule;
  struct Train : TrainKeys {
    std::vector<std::string> parts;

    void describe(Fields& f);
  } train;
  struct Eval {
    int64_t every = 1;
    bool answers = true, blank = true;
    int64_t max_tokens = 16, batch_size = 64;
    int64_t candidates = 10, ranked = 500;

    void describe(Fields& f);
  } eval;

  LlavaConfig();  // sets LLaVA's own defaults
  void describe(Fields& f) override;
  std::vector<std::string> settle(Config& config) override;
  /// Whether the stage, or train.parts, trains that part.
  bool trains(LlavaPart part) const;
  /// The name of the prompt template: data.template, or that of the stage.
  std::string template_name() const;
  nn::LlavaConfig llava() const { return llava_config(model, data.img_size); }

  Sections sections() const override { return {data, train.batch_size, false}; }
  void open(const TensorMap& state, OpenModel& opened) const override;
  std::unique_ptr<nn::Backbone> build_backbone(const nn::Scope& scope, int64_t num_classes) const override;
  // In llava_recipe.cpp, beside what they build.
  Preview preview(int64_t count) const override;
  std::unique_ptr<Recipe> build() const override;

 private:
  void describe_data(Fields& f);
  void describe_optim(Fields& f);
};

}  // namespace vitrail::recipes
