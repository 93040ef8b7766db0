// A pair of towers with its vocabulary, as evaluations and programs use it: images and sentences to features.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/data/text/tokenizer.h"
#include "vitrail/nn/models/clip.h"
#include "vitrail/recipes/eval/features.h"
#include "vitrail/recipes/eval/zero_shot.h"
#include "vitrail/recipes/methods/clip.h"
#include "vitrail/recipes/models/trained_model.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace vitrail::recipes {

/// Features of images, in evaluation mode, not normalised; clip outlives the result.
FeatureOf image_features(nn::Clip& clip);
/// Features of texts likewise, some hundreds at a time; texts that are too long are cut. Both outlive the result.
TextFeatures text_features(nn::Clip& clip, const data::Tokenizer& tokenizer);

/// A pair of towers as a run left it.
struct TrainedClip {
  std::filesystem::path checkpoint;
  std::unique_ptr<ClipConfig> settings;  // the run's recipe, changed
  data::Tokenizer tokenizer;
  std::unique_ptr<nn::Clip> model;  // in evaluation mode
};
/// path: a checkpoint of a CLIP run or its folder; see load_trained_model.
/// Throws: ConfigError if the run is of another method; otherwise as load_trained_model.
TrainedClip load_trained_clip(const std::filesystem::path& path, const std::vector<std::string>& changes = {});
TrainedClip to_clip(OpenedRun run);

/// All weights of both towers by our names: of a published model in any layout, or of a run. Throws as read_weights and
/// open_run do; IoError for weights that have no text tower.
TensorMap clip_weights(const std::filesystem::path& path);

/// The vocabulary as a checkpoint keeps it, and back.
Tensor to_tensor(const data::Vocabulary& vocabulary);
data::Vocabulary to_vocabulary(const Tensor& merges, const std::string& name);

}  // namespace vitrail::recipes
