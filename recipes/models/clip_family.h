// The family of CLIP: an image tower and a text tower.
#pragma once

#include "vitrail/data/text/tokenizer.h"
#include "vitrail/recipes/eval/features.h"
#include "vitrail/recipes/eval/zero_shot.h"
#include "vitrail/recipes/models/model_family.h"

#include <functional>
#include <memory>
#include <string>

namespace vitrail::recipes {

std::shared_ptr<const Architecture> clip_architecture(const nn::ClipConfig& config);
/// See ModelFamily::from_weights.
std::shared_ptr<const Architecture> clip_from_weights(const TensorMap& weights, const nn::Layout& layout,
                                                      const std::string& source, const nn::Unwritten& unwritten);

/// Features of images in the space of both towers [B, D], in evaluation mode, not normalised. clip outlives the result.
FeatureOf image_features(nn::Clip& clip);
/// The same of texts, a few hundred at a time. Texts longer than the context are cut. Both arguments outlive the
/// result.
TextFeatures text_features(nn::Clip& clip, const data::Tokenizer& tokenizer);

/// Gives the towers, which were built from config, and their capabilities to opened. vocabulary: called for the first
/// text; if it is empty, opened reads no texts.
void set_clip(OpenModel& opened, const nn::ClipConfig& config, const std::shared_ptr<nn::Clip>& clip,
              std::function<data::Vocabulary()> vocabulary);

}  // namespace vitrail::recipes
