// Weights from which a run starts.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/nn/weights/layout.h"

#include <filesystem>
#include <string>
#include <vector>

namespace vitrail::recipes {

struct StartWeights {
  TensorMap tensors;                   // under our names
  const nn::Layout* layout = nullptr;  // of the file; null: a checkpoint of ours, or names of no layout
  std::vector<std::string> notes;      // what was left out
  std::vector<std::string> classes;    // names of the classifier's outputs; empty: unknown
};

/// The weights of a safetensors file (or the index of its shards) or of a published model's folder, in any layout that
/// find_layout knows; or the image network of a run, as open_model takes it.
/// Throws: ConfigError or IoError as published_weights, safetensors::Reader, from_layout and open_model.
StartWeights read_weights(const std::filesystem::path& path);
/// Makes the classifier of start one for the named classes: its rows are taken by name. Does nothing if start does not
/// name its classes, or if no name agrees and the numbers of classes do; a note says so. Leaves the classifier out if
/// it lacks some of the classes.
void fit_classifier(StartWeights& start, const std::vector<std::string>& classes);
/// The weights of both towers of a CLIP, from the same places. Throws IoError too if there is no text tower.
TensorMap read_clip_weights(const std::filesystem::path& path);

}  // namespace vitrail::recipes
