// The count of multiply-accumulates of a thread, fed by the ops that make them and read by summaries and benchmarks.
#pragma once

#include <cstdint>

namespace vitrail::ag {

void count_macs(int64_t n);
/// Done on this thread so far by matmul, linear, conv2d and attention; a recomputed block counts twice, its sweep
/// runs it again.
int64_t macs();

}  // namespace vitrail::ag
