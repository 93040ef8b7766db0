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

/// count images at equal distances, or all if there are no more: files are often sorted by class, and the first ones
/// are of one class then.
std::unique_ptr<Dataset> spread(std::unique_ptr<Dataset> whole, int64_t count);

/// A part with the same mix of classes, for experiments with fewer images: that share of the images of each class,
/// rounded, but at least one of each class that has any; chosen by the seed and the class alone, and in the order of
/// the whole. Throws ConfigError unless 0 < share <= 1 and the whole is labelled.
std::unique_ptr<Dataset> stratified_subset(std::unique_ptr<Dataset> whole, double share, uint64_t seed);

}  // namespace vitrail::data
