// IDX, the format of MNIST: a file of images and a file of labels, each plain or gzipped.
#pragma once

#include "vitrail/core/tensor.h"
#include "vitrail/data/sources/dataset.h"

namespace vitrail::data {

/// Reads an IDX file of unsigned bytes, of rank 1 to 4. A gzipped one is inflated up to the size that its header
/// announces. Throws IoError naming path for any other file, or if its sizes do not match the file's length.
Tensor read_idx(const std::string& path);

/// Grey images [N, H, W] (or [N, H, W, 3]) and their labels [N]; an empty labels_path means an unlabelled dataset.
std::unique_ptr<Dataset> open_idx(const std::string& images_path, const std::string& labels_path,
                                  const SourceOptions& options = {});

}  // namespace vitrail::data
