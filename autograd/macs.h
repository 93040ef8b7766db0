// The number of multiply-accumulates of a thread. Ops add to it; summaries and benchmarks read it.
#pragma once

#include <cstdint>

namespace vitrail::ag {

/// Adds n to macs(). An op of your own calls it in its forward.
void count_macs(int64_t n);
/// The work of matmul, linear, conv2d and attention on this thread so far. A recomputed block counts twice, because the
/// sweep runs it again.
int64_t macs();

}  // namespace vitrail::ag
