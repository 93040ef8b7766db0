// The binary version of CIFAR-10 and CIFAR-100: records of label bytes and 3 x 32 x 32 pixels, plane by plane.
#pragma once

#include "vitrail/data/sources/dataset.h"

namespace vitrail::data {

enum class CifarKind {
  cifar10,   // one label
  cifar100,  // a coarse label, which is skipped, and a fine one
};

/// The images of the files in the order given. Throws IoError if a file is not a whole number of records.
/// Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images"; cs.toronto.edu/~kriz/cifar.html.
std::unique_ptr<Dataset> open_cifar(const std::vector<std::string>& paths, CifarKind kind,
                                    const SourceOptions& options = {});

}  // namespace vitrail::data
