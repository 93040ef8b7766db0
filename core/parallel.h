// parallel_for: OpenMP over chunks of a fixed size, so that what a chunk computes never depends on the thread count.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>

namespace vitrail {

/// Compute threads used by kernels: OMP_NUM_THREADS or set_num_threads; 1 inside a parallel region.
int num_threads();
void set_num_threads(int n);

/// Threads that wait for work spin for a while before they sleep. By default libgomp's spin so long that on cores
/// shared with anything else (a loader's workers, a compiler) a step takes up to twenty times as long; how long is read
/// from the environment when a process starts. Unless the user chose OMP_WAIT_POLICY or GOMP_SPINCOUNT, this starts the
/// program anew with a short spin; main() calls it first.
void spin_briefly(char** argv);

/// fn(begin, end) for consecutive chunks of at most chunk items of [0, n). Chunks run in any order on any thread; an
/// exception of one is thrown again here.
template <class F>
void parallel_for(int64_t n, int64_t chunk, F&& fn) {
  const int64_t chunks = (n + chunk - 1) / chunk;
  if (chunks <= 1 || num_threads() == 1) {
    for (int64_t begin = 0; begin < n; begin += chunk) fn(begin, std::min(begin + chunk, n));
    return;
  }
  std::exception_ptr error;
#pragma omp parallel for schedule(static)
  for (int64_t c = 0; c < chunks; ++c) {
    try {
      fn(c * chunk, std::min((c + 1) * chunk, n));
    } catch (...) {
#pragma omp critical(vitrail_parallel_for)
      error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace vitrail
