// Any dataset in one HDF5 file that opens at once and is read fast.
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
  const Pairs* pairs = nullptr;  // has what is said of the images, if anything is; dataset is pairs->images then
};

/// Writes the parts durably into a sealed file (see hdf5_dataset.h): image files as they are stored, or the pixels of
/// sources that hold pixels, which must all be of one size; and their captions. Returns the number of images.
/// Throws IoError as the sources and durable_write; DataError if class names differ between labelled parts.
int64_t pack(const std::filesystem::path& path, const std::vector<PackPart>& parts);

}  // namespace vitrail::data
