#include "vitrail/recipes/eval/clip_features.h"

#include "vitrail/core/ops.h"
#include "vitrail/recipes/eval/finite.h"

#include <algorithm>
#include <span>
#include <string>
#include <vector>

namespace vitrail::recipes {
namespace {

constexpr size_t kTexts = 256;  // texts encoded at a time

}  // namespace

FeatureOf image_features(nn::Clip& clip) {
  clip.eval();
  return [&clip](const Tensor& images) { return clip.encode_image(images).value(); };
}

TextFeatures text_features(nn::Clip& clip, const data::Tokenizer& tokenizer) {
  clip.eval();
  return [&clip, &tokenizer](std::span<const std::string> texts) {
    std::vector<Tensor> parts;
    for (size_t begin = 0; begin < texts.size(); begin += kTexts) {
      const auto some = texts.subspan(begin, std::min(kTexts, texts.size() - begin));
      parts.push_back(clip.encode_text(tokenizer.encode_batch(some, clip.text.config.context_length)).value());
      expect_finite(parts.back(), "features", [&](int64_t i) { return "the text '" + some[size_t(i)] + "'"; });
    }
    return core::concat(parts, 0).to(DType::f32);
  };
}

}  // namespace vitrail::recipes
