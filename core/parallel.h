// parallel_for: OpenMP over chunks of a fixed size, so that no result depends on the thread count.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>

namespace vitrail {

/// Compute threads used by kernels: OMP_NUM_THREADS or set_num_threads; 1 inside a parallel region.
int num_threads();
void set_num_threads(int n);

/// Idle threads spin for a while before they sleep. libgomp's default is so long that a step takes up to twenty times
/// as long on cores shared with anything else: a loader's workers, a compiler. libgomp reads the length from the
/// environment when a process starts. Unless the user set OMP_WAIT_POLICY or GOMP_SPINCOUNT, this function restarts the
/// program with a short spin. main() calls it first.
void spin_briefly(char** argv);

/// Calls fn(begin, end) for consecutive chunks of [0, n), each of at most chunk items, in any order on any thread. If a
/// chunk throws, this throws the same exception.
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
