// A published model in the place of a run: the settings with which commands look at data through it.
#pragma once

#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/run/recipe.h"

#include <memory>

namespace vitrail::recipes {

struct PublishedModel;

/// Its keys are those of the data that the model leaves open. Of a CLIP it is the image tower.
struct PublishedSettings final : RecipeConfig {
  explicit PublishedSettings(const PublishedModel& published);

  int64_t batch_size = 32;
  struct Images final : DataConfig {
    void describe(Fields& f);
  } data;
  nn::VitConfig model;
  bool is_clip;

  void describe(Fields& f) override;
  Sections sections() const override { return {data, batch_size, {}, !is_clip && model.num_classes > 0}; }
  std::unique_ptr<nn::Backbone> build_backbone(const nn::Scope& scope, int64_t num_classes) const override;
  /// Throws ConfigError: nothing says how to train it. A recipe with init: starts from its weights.
  std::unique_ptr<Recipe> build() const override;
};

}  // namespace vitrail::recipes
