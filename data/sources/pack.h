// Packs any dataset into one HDF5 file, which opens at once and reads fast.
#pragma once

#include "vitrail/data/sources/dataset.h"
#include "vitrail/data/sources/pairs.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace vitrail::data {

struct PackPart {
  std::string name;  // "train", "val", "test"
  const Dataset* dataset = nullptr;
  const Pairs* pairs = nullptr;  // the captions, if there are any; dataset is then pairs->images
};

struct BrokenImage {
  std::string name, reason;
};

struct PackOptions {
  bool skip_broken = false;  // broken images are left out; else none is packed
  int64_t side = 0;          // files are made smaller, as by shrink_file; 0: as they are
  std::function<void(int64_t done, int64_t all)> tick = {};  // called as images are checked, from one thread at a time
};

struct Packed {
  std::vector<std::vector<int64_t>> images;  // of each part, the indices of those packed
  std::vector<BrokenImage> broken;           // sorted by name
  int64_t shrunk = 0, transparent = 0;       // images made smaller, and those too large and left so: see Shrunk

  int64_t size() const;  // images packed
};

/// Writes the parts and their captions durably into a sealed file (see hdf5_dataset.h). Image files are written as they
/// are, or smaller, after each has been decoded once. Sources of plain pixels are written as pixels, which must all
/// have one size. Throws IoError as durable_write, or if a file changes meanwhile; DataError naming broken images
/// unless they are skipped, if a part has no other images, if class names differ between labelled parts, if plain
/// pixels and files are mixed, or if plain pixels are to be made smaller.
Packed pack(const std::filesystem::path& path, const std::vector<PackPart>& parts, const PackOptions& options = {});

}  // namespace vitrail::data
