// Checkpoints: the whole state of a run in one HDF5 file with a checksum. Equal states are equal bytes: no clock,
// sorted names.
#pragma once

#include "vitrail/core/tensor_map.h"

#include <filesystem>
#include <string>
#include <vector>

namespace vitrail::recipes {

struct Checkpoint {
  TensorMap tensors;                      // "recipe/model/blocks.0.attn.qkv.weight", "loop/step", ...
  std::string recipe;                     // the resolved recipe
  std::vector<std::string> classes = {};  // names of the classifier's outputs; empty: unknown, or no classifier
};

/// Writes or replaces path durably.
/// Throws: NumericError if an f32 or bf16 tensor (weights, moments) is not finite; IoError if the file cannot be
/// written. path is unchanged then.
void save_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);

/// Throws IoError with the reason, unless every byte of the file is as save_checkpoint wrote it.
Checkpoint load_checkpoint(const std::filesystem::path& path);

struct Resumed {
  Checkpoint checkpoint;
  std::filesystem::path path;
  std::vector<std::string> problems;  // why earlier candidates were rejected
};

/// Loads the first file of the list that is intact; missing files are skipped. For a run the list is {last.h5,
/// best.h5}: a damaged last.h5 costs some epochs, not the run. The caller shows the problems. Throws IoError with all
/// problems if no file loads.
Resumed load_newest_checkpoint(const std::vector<std::filesystem::path>& newest_first);

}  // namespace vitrail::recipes
