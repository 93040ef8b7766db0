// Images of one size in one array of bytes in memory. CIFAR, IDX and plain HDF5 files are read into it.
#pragma once

#include "vitrail/core/tensor.h"
#include "vitrail/data/sources/dataset.h"

namespace vitrail::data {

struct PixelArray {
  struct Source {
    std::string path;
    int64_t images;
  };

  Tensor images;                     // u8 [N, H, W, C], any strides; C is 1 (grey), 3, or 4 (with opacity)
  std::vector<int64_t> labels;       // N; none if unlabelled
  std::vector<std::string> classes;  // names by label; none: the numbers from 0 to the largest label
  std::vector<Source> sources;       // the files, in the order of the images
};

/// Throws DataError naming the first file if there are no images, counts differ, or a label is not one of the
/// classes (options.classes, if given, else array.classes).
std::unique_ptr<Dataset> make_array_dataset(PixelArray array, const SourceOptions& options = {});

}  // namespace vitrail::data
