// Zero-shot classification: the classes are sentences.
#pragma once

#include "vitrail/core/tensor.h"
#include "vitrail/recipes/eval/features.h"

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace vitrail::recipes {

/// Texts to features [n, D], of any length.
using TextFeatures = std::function<Tensor(std::span<const std::string> texts)>;

/// Every {} of the template replaced by name. Throws DataError if there is none.
std::string fill_template(const std::string& text, const std::string& name);

/// Every template filled with every name, name by name. Throws as fill_template.
std::vector<std::string> prompts(const std::vector<std::string>& names, const std::vector<std::string>& templates);

/// A classifier made of words, one row of length 1 a class: [C, D]. The features of all templates filled with a name
/// are each brought to length 1, averaged, and brought to length 1 again; the product with an image's feature is the
/// class's score. Throws as fill_template.
/// Source: Radford et al. 2021 (arXiv:2103.00020), section 3.1.4.
Tensor zero_shot_weights(const TextFeatures& features_of, const std::vector<std::string>& names,
                         const std::vector<std::string>& templates);

/// Names of folders as words: "traffic_light" is "traffic light".
std::vector<std::string> words_of(std::vector<std::string> names);

/// A classifier of images by texts: logits [B, K] are logit_scale times the cosines of their features and the weights.
FeatureOf zero_shot_classifier(FeatureOf image_features, Tensor weights, double logit_scale);

}  // namespace vitrail::recipes
