// The family of CLIP: an image tower and a text tower.
#pragma once

#include "vitrail/data/text/vocabulary.h"
#include "vitrail/recipes/models/model_family.h"

#include <functional>
#include <memory>
#include <string>

namespace vitrail::recipes {

/// A CLIP of these sizes, without weights.
std::shared_ptr<const Architecture> clip_architecture(const nn::ClipConfig& config);
/// See ModelFamily::from_weights.
std::shared_ptr<const Architecture> clip_from_weights(const TensorMap& weights, const nn::Layout& layout,
                                                      const std::string& source, const nn::Unwritten& unwritten);

/// Gives the towers, which were built from config, and their capabilities to opened. vocabulary: called for the first
/// text; if it is empty, opened reads no texts.
void set_clip(OpenModel& opened, const nn::ClipConfig& config, const std::shared_ptr<nn::Clip>& clip,
              std::function<data::Vocabulary()> vocabulary);

}  // namespace vitrail::recipes
