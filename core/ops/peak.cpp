#include "vitrail/core/ops/peak.h"

#include "vitrail/core/dnnl/matmul.h"
#include "vitrail/core/error.h"
#include "vitrail/core/kernels/multiply.h"
#include "vitrail/core/ops/matmul.h"
#include "vitrail/core/parallel.h"
#include "vitrail/core/rng.h"

#include <algorithm>
#include <atomic>
#include <chrono>

namespace vitrail::core {
namespace {

constexpr int64_t kPeakSize = 2048;

template <class Product>
double best_gflops(const Product& product) {
  using Clock = std::chrono::steady_clock;
  double best = 1e30;
  for (int i = 0; i < 12; ++i) {
    const Clock::time_point start = Clock::now();
    product();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return 2e-9 * double(kPeakSize * kPeakSize * kPeakSize) / best;
}

template <class T>
double onednn_gflops(const Tensor& a, const Tensor& b) {
  Tensor c = Tensor::empty(a.shape(), a.dtype());
  const auto matrix = [](auto& t) {
    using Element = std::remove_pointer_t<decltype(t.template data<T>())>;
    return Matrix<Element>{t.template data<T>(), t.size(0), t.size(1), t.stride(0), t.stride(1)};
  };
  return best_gflops([&] { dnnl::matmul(matrix(a), matrix(b), matrix(c)); });
}

}  // namespace

double peak_gflops(DType dtype) {
  check<ConfigError>(dtype == DType::f32 || dtype == DType::bf16, "peak_gflops", "takes f32 or bf16, not {}", dtype);
  Rng rng(0, "peak");
  const Shape shape{kPeakSize, kPeakSize};
  const Tensor a = rng.normal(shape, 0, 1).to(dtype), b = rng.normal(shape, 0, 1).to(dtype);
  const double ours = best_gflops([&] { matmul(a, b); });
  if (dtype == DType::f32) return std::max(ours, onednn_gflops<float>(a, b));
  return native_bf16() ? std::max(ours, onednn_gflops<bf16>(a, b)) : ours;
}

double read_gbps(const Tensor& memory) {
  // Four pages at once: the processor prefetches each of them by itself. This measured fastest of many ways to read.
  constexpr int64_t kWords = 512, kLine = 8, kBlock = 4 * kWords;
  const int64_t blocks = memory.nbytes() / (kBlock * int64_t(sizeof(uint64_t)));
  check<ShapeError>(memory.is_contiguous() && blocks > 0, "read_gbps",
                    "memory is {} {}; needs a dense tensor of 16 KiB or more", memory.dtype(), memory.shape());
  const auto* const words = reinterpret_cast<const uint64_t*>(memory.raw());
  std::atomic<uint64_t> total = 0;  // uses the words
  const auto start = std::chrono::steady_clock::now();
  parallel_for(blocks, (blocks + num_threads() - 1) / num_threads(), [&](int64_t begin, int64_t end) {
    uint64_t sums[kLine] = {};
    for (int64_t block = begin; block < end; ++block) {
      const uint64_t* const page = words + block * kBlock;
      for (int64_t i = 0; i < kWords; i += kLine)
#pragma omp simd
        for (int64_t j = i; j < i + kLine; ++j)
          sums[j - i] += (page[j] + page[j + kWords]) + (page[j + 2 * kWords] + page[j + 3 * kWords]);
    }
    for (const uint64_t sum : sums) total += sum;
  });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return 1e-9 * double(blocks * kBlock) * sizeof(uint64_t) / seconds.count();
}

}  // namespace vitrail::core
