// Writes the confusion matrix of an evaluation.
#pragma once

#include "vitrail/core/tensor.h"

#include <string>
#include <vector>

namespace vitrail::tools {

/// Writes PREFIX.csv (a named row per true class, a named column per predicted class) and PREFIX.png, and returns their
/// paths. The image is left out above 4096 classes. counts: i64 [K, K]; names: K.
std::vector<std::string> write_confusion(const std::string& prefix, const Tensor& counts,
                                         const std::vector<std::string>& names);

}  // namespace vitrail::tools
