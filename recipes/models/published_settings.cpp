#include "vitrail/recipes/models/published_settings.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/models/published_model.h"

namespace vitrail::recipes {

PublishedSettings::PublishedSettings(const PublishedModel& published)
    : model(published.vision()), is_clip(published.is_clip()) {
  recipe = "published";
  const Preprocessing& p = published.preprocessing;
  data.published = p;
  data.img_size = p.img_size();
  data.mean.assign(p.mean.begin(), p.mean.end());
  data.std.assign(p.std.begin(), p.std.end());
}

void PublishedSettings::Images::describe(Fields& f) {
  describe_source(f);
  describe_augmentation(f);
  describe_reading(f);
}

void PublishedSettings::describe(Fields& f) {
  RecipeConfig::describe(f);
  f("batch_size", batch_size, "images at a time", at_least(1));
  f("data", data);
}

std::unique_ptr<nn::Backbone> PublishedSettings::build_backbone(const nn::Scope& scope, int64_t num_classes) const {
  nn::VitConfig config = model;
  if (!is_clip) config.num_classes = num_classes;
  return std::make_unique<nn::VisionTransformer>(scope, config);
}

std::unique_ptr<Recipe> PublishedSettings::build() const {
  fail<ConfigError>("train", "a published model is no recipe; a recipe with init: starts from its weights");
}

}  // namespace vitrail::recipes
