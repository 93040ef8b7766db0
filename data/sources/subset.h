// Some of the images of a dataset.
#pragma once

#include "vitrail/data/sources/dataset.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace vitrail::data {

/// The images at the indices, in that order.
/// Throws ShapeError if there is no image at one of them.
std::unique_ptr<Dataset> subset(std::unique_ptr<Dataset> whole, std::vector<int64_t> indices);

/// count images at equal distances, or all if there are no more. Files are often sorted by class, so the first count
/// images would be of one class.
std::unique_ptr<Dataset> spread(std::unique_ptr<Dataset> whole, int64_t count);

/// A subset with the same mix of classes, for experiments with fewer images. It has that share of each class, rounded,
/// but at least one image of each class that has any. The choice depends on the seed and the class alone; the order is
/// kept. Throws ConfigError unless 0 < share <= 1 and the dataset is labelled.
std::unique_ptr<Dataset> stratified_subset(std::unique_ptr<Dataset> whole, double share, uint64_t seed);

}  // namespace vitrail::data
