// Loops over the elements of weights in fixed chunks, so that no result depends on the number of threads. Private to
// this folder.
#pragma once

#include "vitrail/core/parallel.h"
#include "vitrail/core/tensor.h"

#include <array>
#include <vector>

namespace vitrail::optim {

inline constexpr int64_t kChunk = 16384;

/// Calls fn(float{}) or fn(double{}), by the type of the weights.
template <class F>
decltype(auto) dispatch_weight(DType dtype, F&& fn) {
  return dtype == DType::f64 ? fn(double{}) : fn(float{});
}

/// Sums the N values that fn(begin, end) returns for each chunk, in order.
template <size_t N, class F>
std::array<double, N> sum_chunks(int64_t n, F&& fn) {
  std::vector<std::array<double, N>> parts(size_t((n + kChunk - 1) / kChunk));
  parallel_for(n, kChunk, [&](int64_t begin, int64_t end) { parts[size_t(begin / kChunk)] = fn(begin, end); });
  std::array<double, N> sums{};
  for (const auto& part : parts)
    for (size_t i = 0; i < N; ++i) sums[i] += part[i];
  return sums;
}

}  // namespace vitrail::optim
