#include "vitrail/recipes/models/open_model.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/methods/clip_model.h"
#include "vitrail/recipes/models/published_model.h"
#include "vitrail/recipes/models/trained_model.h"

#include <cmath>
#include <memory>
#include <optional>
#include <utility>

namespace vitrail::recipes {
namespace {

void set_backbone(OpenModel& opened, const std::shared_ptr<nn::Backbone>& model) {
  opened.image_features = [features = pooled_features(*model), model](const Tensor& images) {
    return features(images);
  };
}

/// vocabulary may be empty; it is asked for when the first text is.
void set_clip(OpenModel& opened, const std::shared_ptr<nn::Clip>& clip,
              const std::function<data::Vocabulary()>& vocabulary) {
  opened.logit_scale = std::exp(clip->logit_scale.value().item());
  opened.image_features = [features = image_features(*clip), clip](const Tensor& images) { return features(images); };
  if (!vocabulary) return;
  const auto tokenizer = std::make_shared<std::optional<data::Tokenizer>>();
  opened.text_features = [clip, vocabulary, tokenizer](std::span<const std::string> texts) {
    if (!*tokenizer) tokenizer->emplace(vocabulary());
    return text_features(*clip, **tokenizer)(texts);
  };
}

OpenModel open_published(const std::filesystem::path& path) {
  const PublishedModel published = read_published_model(path);
  OpenModel opened;
  opened.source = published.source;
  opened.preprocessing = published.preprocessing;
  opened.notes = published.notes;
  if (!published.is_clip()) {
    set_backbone(opened, build_vit(published));
    return opened;
  }
  set_clip(opened, build_clip(published), published.vocabulary);
  return opened;
}

}  // namespace

OpenModel open_model(const std::filesystem::path& path) {
  if (published_weights(path)) return open_published(path);
  OpenedRun run = open_run(path);
  OpenModel opened;
  opened.source = run.checkpoint;
  opened.preprocessing = recipe_preprocessing(run.settings->sections().data);
  if (dynamic_cast<const ClipConfig*>(run.settings.get()) != nullptr) {
    TrainedClip trained = to_clip(std::move(run));
    set_clip(opened, std::move(trained.model), [words = trained.tokenizer.vocabulary()] { return words; });
  } else {
    set_backbone(opened, to_model(std::move(run)).model);
  }
  return opened;
}

void expect_texts(const OpenModel& model, std::string_view command) {
  check<ConfigError>(model.text_features != nullptr, command,
                     "{} has no text tower, or no vocabulary beside it (merges.txt): sentences need a CLIP",
                     model.source.string());
}

}  // namespace vitrail::recipes
