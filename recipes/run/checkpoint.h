// Checkpoints: a whole run in one sealed HDF5 file. Equal states are equal bytes: no clock, names sorted.
#pragma once

#include "vitrail/core/tensor_map.h"

#include <filesystem>
#include <string>
#include <vector>

namespace vitrail::recipes {

struct Checkpoint {
  TensorMap tensors;   // "recipe/model/blocks.0.attn.qkv.weight", "loop/step", ...
  std::string recipe;  // the resolved recipe
};

/// Replaces path durably.
/// Throws: NumericError if an f32 or bf16 tensor (weights, moments) is not finite; IoError if the file cannot be
/// written. Either way path is as before.
void save_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);

/// Throws: IoError saying what is wrong, unless the file is what save_checkpoint wrote, byte for byte.
Checkpoint load_checkpoint(const std::filesystem::path& path);

struct Resumed {
  Checkpoint checkpoint;
  std::filesystem::path path;
  std::vector<std::string> problems;  // why the ones before it were not taken
};

/// The first of the files that loads; missing ones are passed over. For a run: {last.h5, best.h5}, so that a last.h5
/// damaged on the disk costs some epochs, not the run; the caller shows problems.
/// Throws: IoError with all problems if none loads.
Resumed load_newest_checkpoint(const std::vector<std::filesystem::path>& newest_first);

}  // namespace vitrail::recipes
