// The rate of a large matrix product on this machine: what the speed of a training step is compared with.
#pragma once

#include "vitrail/core/dtype.h"

namespace vitrail::core {

/// GFLOP/s of the fastest of a few products of 2048 x 2048 matrices: by matmul() or by oneDNN, whichever is faster.
/// dtype: f32 or bf16. Thread: all compute threads.
double peak_gflops(DType dtype);

}  // namespace vitrail::core
