#include "vitrail/recipes/methods/clip_eval.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/recipes/eval/evaluate.h"
#include "vitrail/recipes/eval/pair_retrieval.h"

namespace vitrail::recipes {
namespace {

Stats zero_shot(const FeatureSet& images, const EvalClasses& classes, const TextFeatures& features_of) {
  std::vector<int64_t> rows, labels;
  for (size_t i = 0; i < images.indices.size(); ++i) {
    const int64_t label = classes.labels[size_t(images.indices[i])];
    if (label == data::kNoLabel) continue;
    rows.push_back(int64_t(i));
    labels.push_back(label);
  }
  const int64_t n = int64_t(rows.size());
  check<DataError>(n > 0, "zero_shot", "no image with a class is left to evaluate on");
  const Tensor weights = zero_shot_weights(features_of, classes.names, classes.templates);
  const Tensor similarity =
      core::matmul(core::embedding(images.features, tensor(rows, {n})), weights, core::Trans::no, core::Trans::yes);
  const auto places = label_places(similarity, tensor(labels, {n}), 10);
  Stats stats;
  for (const int64_t k : {1, 5, 10}) stats.emplace_back("zero_shot_top" + std::to_string(k), share_below(places, k));
  stats.emplace_back("zero_shot_images", n);
  return stats;
}

}  // namespace

Stats evaluate_clip(const FeatureOf& image_features, const TextFeatures& text_features, ClipEvalData& data,
                    const Tick& tick) {
  const auto features_of_images = [&](const data::Dataset& images) {
    return normalized(extract_features(image_features, *data.loader(images), tick));
  };
  Stats stats;
  const auto add = [&stats](const Stats& more) { stats.insert(stats.end(), more.begin(), more.end()); };
  FeatureSet images;
  if (const auto& pairs = data.pairs()) {
    images = features_of_images(*pairs->images);
    const Answers right = answers_among(*pairs, images.indices);
    const Tensor texts = core::l2_normalize(text_features(right.texts)).y;
    add(recall("i2t", best_places(images.features, texts, right.texts_of)));
    add(recall("t2i", best_places(texts, images.features, right.images_of)));
    stats.emplace_back("images", images.features.size(0));
  }
  if (const auto& classes = data.classes()) {
    if (classes->own) images = features_of_images(*classes->own);
    add(zero_shot(images, *classes, text_features));
  }
  return stats;
}

}  // namespace vitrail::recipes
