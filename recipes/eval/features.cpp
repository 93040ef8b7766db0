#include "vitrail/recipes/eval/features.h"

#include "vitrail/core/ops.h"
#include "vitrail/nn/models/vision_transformer.h"

#include <algorithm>

namespace vitrail::recipes {

FeatureOf pooled_features(nn::Backbone& model) {
  model.eval();
  return [&model](const Tensor& images) { return model.features(images).value(); };
}

FeatureOf probe_features(nn::Backbone& model, int64_t blocks, bool patch_mean) {
  auto* vit = dynamic_cast<nn::VisionTransformer*>(&model);
  if (!vit || !vit->config.class_token) return pooled_features(model);
  const int64_t count = std::min(blocks, vit->config.depth);
  model.eval();
  return [vit, count, patch_mean](const Tensor& images) {
    std::vector<Tensor> parts;
    const auto layers = vit->intermediate_layers(images, count);
    parts.reserve(layers.size() + 1);
    for (const ag::Var& tokens : layers) parts.push_back(tokens.value().select(1, 0).to(DType::f32));
    if (patch_mean) {
      const Tensor& tokens = layers.back().value();
      parts.push_back(core::mean(tokens.slice(1, vit->prefix_tokens(), tokens.size(1)).to(DType::f32), {1}));
    }
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
    labels.push_back((*batch)["labels"]);
    indices.insert(indices.end(), batch->indices.begin(), batch->indices.end());
    rows += batch->size();
    tick(int64_t(features.size()), loader.batches_per_epoch());
  }
  return {core::concat(features, 0), core::concat(labels, 0), std::move(indices)};
}

FeatureSet normalized(const FeatureSet& set) { return {core::l2_normalize(set.features).y, set.labels, set.indices}; }

}  // namespace vitrail::recipes
