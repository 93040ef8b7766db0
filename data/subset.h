// A part of a data set with the same mix of classes, for experiments with fewer pictures.
#pragma once

#include "dataset.h"

#include <cstdint>
#include <memory>

namespace vitrail::data {

/// That share of the pictures of each class, rounded, but at least one of each class that has any; chosen by the seed
/// and the class alone, and in the order of the whole.
/// Throws ConfigError unless 0 < share <= 1 and the whole is labelled.
std::unique_ptr<Dataset> stratified_subset(std::unique_ptr<Dataset> whole, double share, uint64_t seed);

}  // namespace vitrail::data
