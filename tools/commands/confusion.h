// The confusion matrix of an evaluation as files.
#pragma once

#include "vitrail/core/tensor.h"

#include <string>
#include <vector>

namespace vitrail::tools {

/// Writes PREFIX.csv (a row for each true class, a column for each class it was taken for, both with their names) and
/// PREFIX.png, and returns their paths. Above 4096 classes there is no image.
/// Shape: counts i64 [K, K], names K.
std::vector<std::string> write_confusion(const std::string& prefix, const Tensor& counts,
                                         const std::vector<std::string>& names);

}  // namespace vitrail::tools
