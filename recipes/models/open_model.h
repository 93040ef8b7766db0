// A model to ask, wherever it comes from: images, and with two towers texts, to features.
#pragma once

#include "vitrail/recipes/build/preprocessing.h"
#include "vitrail/recipes/eval/features.h"
#include "vitrail/recipes/eval/zero_shot.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace vitrail::recipes {

struct OpenModel {
  std::filesystem::path source;    // the file of the weights
  Preprocessing preprocessing;     // of the images
  FeatureOf image_features;        // what `classify` reads of a ViT or ResNet; of a CLIP in the common space. [B, D]
  TextFeatures text_features;      // of a CLIP with its vocabulary; else empty
  double logit_scale = 1;          // of a CLIP: the factor of its cosines
  std::vector<std::string> notes;  // what had to be assumed
};

/// path: a checkpoint or the folder of a run of any method; or a published model, see read_published_model. Features
/// are in evaluation mode, in the compute type of ag::Autocast.
/// Throws as open_run and read_published_model.
OpenModel open_model(const std::filesystem::path& path);

/// Throws ConfigError naming the command if the model has no text tower or no vocabulary.
void expect_texts(const OpenModel& model, std::string_view command);

}  // namespace vitrail::recipes
