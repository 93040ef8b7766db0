// The most probable classes of images, by name.
#pragma once

#include "vitrail/core/tensor.h"

#include <cstdint>
#include <string>
#include <vector>

namespace vitrail::recipes {

struct ClassProbability {
  int64_t output = 0;  // of the classifier
  std::string name;    // the number of the output if the classifier does not name its classes
  double probability = 0;
};

/// For each row of logits [B, K] its k most probable classes (all, if there are fewer), the most probable first.
/// names: of the K outputs; empty: unknown. Throws ShapeError for another number of names.
std::vector<std::vector<ClassProbability>> top_classes(const Tensor& logits, const std::vector<std::string>& names,
                                                       int64_t k);

}  // namespace vitrail::recipes
