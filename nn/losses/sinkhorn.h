// Sinkhorn-Knopp: a teacher's scores as targets that use every prototype equally.
#pragma once

#include "vitrail/core/tensor.h"

namespace vitrail::nn {

/// Probabilities near e^(scores / temp), scaled in turn so that every prototype has the same total over the batch and
/// every row the sum 1; it ends with the rows. Each prototype's largest score is subtracted first: its scale cancels.
/// Shape:  [N, K] -> [N, K], in the type of scores, at least f32.
/// Throws: ShapeError unless scores have two axes; ConfigError unless temp and iterations are positive.
/// Source: Caron et al. 2020 (arXiv:2006.09882), section 3.1; Oquab et al. 2023 (arXiv:2304.07193), section 4.
Tensor sinkhorn_targets(const Tensor& scores, double temp, int64_t iterations = 3);

}  // namespace vitrail::nn
