#include "vitrail/recipes/eval/features.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/recipes/eval/finite.h"

#include <algorithm>
#include <string>

namespace vitrail::recipes {

FeatureOf pooled_features(nn::Backbone& model) {
  model.eval();
  return [&model](const Tensor& images) { return model.features(images).value(); };
}

FeatureOf probe_features(nn::Backbone& model, int64_t blocks, bool patch_mean) {
  nn::TokenBackbone* const tokens_of = model.token_backbone();
  if (!tokens_of || !tokens_of->has_class_token()) return pooled_features(model);
  const int64_t count = std::min(blocks, tokens_of->depth());
  model.eval();
  return [tokens_of, count, patch_mean](const Tensor& images) {
    std::vector<Tensor> parts;
    const auto layers = tokens_of->intermediate_tokens(images, count);
    parts.reserve(layers.size() + 1);
    for (const nn::Tokens& tokens : layers) parts.push_back(tokens.prefix.value().select(1, 0).to(DType::f32));
    if (patch_mean) parts.push_back(core::mean(layers.back().patches.value().to(DType::f32), {1}));
    return core::concat(parts, 1);
  };
}

bool pixels_fit(int64_t images, int64_t side) {
  constexpr int64_t kMost = int64_t{3} << 28;
  return images <= kMost / (3 * side * side);
}

FeatureOf pixel_features() {
  return [](const Tensor& images) { return images.reshape({images.size(0), -1}); };
}

FeatureSet extract_features(const FeatureOf& feature_of, data::Loader& loader, const Tick& tick, int64_t most) {
  std::vector<Tensor> features, labels;
  std::vector<int64_t> indices;
  for (int64_t rows = 0; rows < most;) {
    const auto batch = loader.next();
    if (!batch) break;
    features.push_back(feature_of((*batch)["images"]).to(DType::f32));
    expect_finite(features.back(), "features",
                  [&](int64_t i) { return "image " + std::to_string(batch->indices[size_t(i)]); });
    labels.push_back((*batch)["labels"]);
    indices.insert(indices.end(), batch->indices.begin(), batch->indices.end());
    rows += batch->size();
    tick(int64_t(features.size()), loader.batches_per_epoch());
  }
  check<DataError>(!features.empty(), "features", "no image is left: all are broken");
  return {core::concat(features, 0), core::concat(labels, 0), std::move(indices)};
}

FeatureSet normalized(const FeatureSet& set) { return {core::l2_normalize(set.features).y, set.labels, set.indices}; }

}  // namespace vitrail::recipes
