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

/// A dataset in two. Each image is in one of them, in the order of the dataset.
struct Halves {
  std::vector<int64_t> kept, held_out;
};

/// Holds out that share of each class, rounded, chosen by a hash of the seed and the images' names; at least one image
/// of each class that has two is held out, and one is kept. When images are added, others change sides only at the
/// border between both. Names count from `root` on, so a dataset that moves is cut as before. Without labels all images
/// are one class. Throws ConfigError unless 0 < share < 1.
Halves hold_out(const Dataset& whole, const std::string& root, double share, uint64_t seed);

/// A subset with the same mix of classes, for experiments with fewer images. It has that share of each class, rounded,
/// but at least one image of each class that has any. The choice depends on the seed and the class alone; the order is
/// kept. Throws ConfigError unless 0 < share <= 1 and the dataset is labelled.
std::unique_ptr<Dataset> stratified_subset(std::unique_ptr<Dataset> whole, double share, uint64_t seed);

}  // namespace vitrail::data
