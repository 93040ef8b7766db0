// A trained pair of towers with its vocabulary, read from a run.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/data/text/tokenizer.h"
#include "vitrail/nn/models/clip.h"
#include "vitrail/recipes/eval/clip_features.h"
#include "vitrail/recipes/methods/clip.h"
#include "vitrail/recipes/models/trained_model.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace vitrail::recipes {

/// The towers of a run.
struct TrainedClip {
  std::filesystem::path checkpoint;
  std::unique_ptr<ClipConfig> settings;  // the run's recipe with the changes
  data::Tokenizer tokenizer;
  std::unique_ptr<nn::Clip> model;  // in evaluation mode
};
/// path: a checkpoint of a CLIP run or its folder; see load_trained_model.
/// Throws: ConfigError if the run is of another method; otherwise as load_trained_model.
TrainedClip load_trained_clip(const std::filesystem::path& path, const std::vector<std::string>& changes = {});
TrainedClip to_clip(OpenedRun run);

/// The weights of both towers by our names, from a published model in any layout or from a run.
/// Throws as read_weights and open_run; IoError for weights without a text tower.
TensorMap clip_weights(const std::filesystem::path& path);

/// The vocabulary as a checkpoint stores it, and back.
Tensor to_tensor(const data::Vocabulary& vocabulary);
data::Vocabulary to_vocabulary(const Tensor& merges, const std::string& name);

}  // namespace vitrail::recipes
