#include "vitrail/recipes/methods/clip_eval.h"

#include "vitrail/core/ops.h"
#include "vitrail/recipes/eval/evaluate.h"
#include "vitrail/recipes/eval/pair_retrieval.h"

namespace vitrail::recipes {
namespace {

Stats zero_shot(const Tensor& images, const EvalClasses& classes, const TextFeatures& features_of) {
  std::vector<int64_t> rows, labels;
  for (size_t i = 0; i < classes.labels.size(); ++i) {
    if (classes.labels[i] == data::kNoLabel) continue;
    rows.push_back(int64_t(i));
    labels.push_back(classes.labels[i]);
  }
  const int64_t n = int64_t(rows.size());
  const Tensor weights = zero_shot_weights(features_of, classes.names, classes.templates);
  const Tensor similarity =
      core::matmul(core::embedding(images, tensor(rows, {n})), weights, core::Trans::no, core::Trans::yes);
  const auto places = label_places(similarity, tensor(labels, {n}), 10);
  Stats stats;
  for (const int64_t k : {1, 5, 10}) stats.emplace_back("zero_shot_top" + std::to_string(k), share_below(places, k));
  return stats;
}

}  // namespace

Stats evaluate_clip(const FeatureOf& image_features, const TextFeatures& text_features, ClipEvalData& data,
                    const Tick& tick) {
  const auto features_of_images = [&](const data::Dataset& images) {
    return normalized(extract_features(image_features, *data.loader(images), tick)).features;
  };
  Stats stats;
  const auto add = [&stats](const Stats& more) { stats.insert(stats.end(), more.begin(), more.end()); };
  Tensor images;
  if (const auto& pairs = data.pairs()) {
    images = features_of_images(*pairs->images);
    const Tensor texts = core::l2_normalize(text_features(pairs->texts)).y;
    add(recall("i2t", best_places(images, texts, pairs->texts_of)));
    add(recall("t2i", best_places(texts, images, pairs->images_of)));
  }
  if (const auto& classes = data.classes()) {
    if (classes->own) images = features_of_images(*classes->own);
    add(zero_shot(images, *classes, text_features));
  }
  return stats;
}

}  // namespace vitrail::recipes
