// Packs any dataset into one HDF5 file, which opens at once and reads fast.
#pragma once

#include "vitrail/data/sources/dataset.h"
#include "vitrail/data/sources/pairs.h"

#include <filesystem>
#include <string>
#include <vector>

namespace vitrail::data {

struct PackPart {
  std::string name;  // "train", "val", "test"
  const Dataset* dataset = nullptr;
  const Pairs* pairs = nullptr;  // the captions, if there are any; dataset is then pairs->images
};

/// Writes the parts and their captions durably into a sealed file (see hdf5_dataset.h). Image files are written as they
/// are. Sources of plain pixels are written as pixels, which must all have one size. Returns the number of images.
/// Throws IoError as the sources and durable_write; DataError if class names differ between labelled parts.
int64_t pack(const std::filesystem::path& path, const std::vector<PackPart>& parts);

}  // namespace vitrail::data
