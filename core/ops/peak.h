// The limits of this machine, with which speeds are compared: the rate of a large matrix product for a training step,
// the rate at which memory is read for a decoder.
#pragma once

#include "vitrail/core/tensor.h"

namespace vitrail::core {

/// GFLOP/s of the fastest of a few products of 2048 x 2048 matrices: by matmul() or by oneDNN, whichever is faster.
/// dtype: f32 or bf16. Thread: all compute threads.
double peak_gflops(DType dtype);
/// GB/s of one pass over the elements of a dense tensor, which should be larger than the caches. Each compute thread
/// reads one part, in order, and adds up its words.
double read_gbps(const Tensor& memory);

}  // namespace vitrail::core
