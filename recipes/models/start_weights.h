// Weights from which a run starts.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/nn/weights/layout.h"
#include "vitrail/recipes/build/preprocessing.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::recipes {

struct StartWeights {
  TensorMap tensors;                         // under our names
  const nn::Layout* layout = nullptr;        // of the file; null: a checkpoint of ours, or names of no layout
  std::vector<std::string> notes;            // what was left out
  std::optional<Preprocessing> pixels = {};  // that the weights were trained on, if that is known: of a run
};

/// The weights of a safetensors file (or the index of its shards) or of a published model's folder, in any layout that
/// find_layout knows; or the image network of a run, as open_model takes it.
/// Throws: ConfigError or IoError as published_weights, safetensors::Reader, from_layout and open_model.
StartWeights read_weights(const std::filesystem::path& path);
/// The weights of both towers of a CLIP, from the same places. Throws IoError too if there is no text tower.
TensorMap read_clip_weights(const std::filesystem::path& path);

}  // namespace vitrail::recipes
