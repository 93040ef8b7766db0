#include "vitrail/core/ops/peak.h"

#include "vitrail/core/dnnl/matmul.h"
#include "vitrail/core/error.h"
#include "vitrail/core/kernels/multiply.h"
#include "vitrail/core/ops/matmul.h"
#include "vitrail/core/rng.h"

#include <algorithm>
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

}  // namespace vitrail::core
