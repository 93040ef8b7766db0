// Principal components: the directions in which features differ most.
#pragma once

#include "vitrail/core/tensor.h"

namespace vitrail::recipes {

struct Pca {
  Tensor mean;        // [1, D]
  Tensor components;  // [k, D]: of length 1, orthogonal, by falling variance; each one's largest element is positive
  Tensor variances;   // f64 [k]

  /// Coordinates along the components: [N, D] -> [N, k].
  Tensor project(const Tensor& features) const;
};

/// Of features f32 [N, D]. Components of no variance are 0.
/// Throws: ShapeError unless 1 <= k <= D.
Pca fit_pca(const Tensor& features, int64_t k);

}  // namespace vitrail::recipes
