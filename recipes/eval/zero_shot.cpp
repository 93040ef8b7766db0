#include "vitrail/recipes/eval/zero_shot.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"

#include <algorithm>
#include <utility>

namespace vitrail::recipes {

std::string fill_template(const std::string& text, const std::string& name) {
  std::string filled;
  size_t begin = 0;
  for (size_t at = text.find("{}"); at != std::string::npos; at = text.find("{}", begin)) {
    filled += text.substr(begin, at - begin) + name;
    begin = at + 2;
  }
  check<DataError>(begin > 0, "zero-shot", "the template '{}' has no {} for the name of a class", text, "{}");
  return filled + text.substr(begin);
}

std::vector<std::string> prompts(const std::vector<std::string>& names, const std::vector<std::string>& templates) {
  std::vector<std::string> texts;
  texts.reserve(names.size() * templates.size());
  for (const std::string& name : names)
    for (const std::string& text : templates) texts.push_back(fill_template(text, name));
  return texts;
}

Tensor zero_shot_weights(const TextFeatures& features_of, const std::vector<std::string>& names,
                         const std::vector<std::string>& templates) {
  check<DataError>(!names.empty() && !templates.empty(), "zero-shot", "{} names of classes and {} templates",
                   names.size(), templates.size());
  const int64_t classes = int64_t(names.size()), count = int64_t(templates.size());
  const Tensor each = core::l2_normalize(features_of(prompts(names, templates))).y;
  const Tensor mean = core::mean(each.reshape({classes, count, each.size(1)}), {1});
  return core::l2_normalize(mean).y;
}

std::vector<std::string> words_of(std::vector<std::string> names) {
  for (std::string& name : names) std::replace(name.begin(), name.end(), '_', ' ');
  return names;
}

FeatureOf zero_shot_classifier(FeatureOf image_features, Tensor weights, double logit_scale) {
  return [features_of = std::move(image_features), weights = std::move(weights), logit_scale](const Tensor& images) {
    const Tensor features = core::l2_normalize(features_of(images).to(DType::f32)).y;
    return core::mul(core::matmul(features, weights, core::Trans::no, core::Trans::yes), scalar(logit_scale));
  };
}

}  // namespace vitrail::recipes
