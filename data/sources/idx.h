// IDX, the format of MNIST: a file of images and a file of labels, each plain or gzipped.
#pragma once

#include "vitrail/core/tensor.h"
#include "vitrail/data/sources/dataset.h"

namespace vitrail::data {

/// The array in an IDX file of unsigned bytes, of rank 1 to 4. Throws IoError naming path if it is anything else, or
/// if its sizes are not those of the file.
Tensor read_idx(const std::string& path);

/// Grey images [N, H, W] (or [N, H, W, 3]) and their labels [N]; an empty labels_path means an unlabelled set.
std::unique_ptr<Dataset> open_idx(const std::string& images_path, const std::string& labels_path,
                                  const SourceOptions& options = {});

}  // namespace vitrail::data
