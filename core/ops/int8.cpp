#include "vitrail/core/ops/int8.h"

#include "vitrail/core/error.h"
#include "vitrail/core/kernels/few_rows.h"
#include "vitrail/core/kernels/table.h"
#include "vitrail/core/ops/matmul.h"
#include "vitrail/core/parallel.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

namespace vitrail::core {
namespace {

using kernels::kInt8Group;
using kernels::kInt8Outputs;
using kernels::kInt8Run;

constexpr float kLargest = 127;
constexpr int64_t kPanelGroup = kInt8Outputs * kInt8Group;  // bytes of a group of a panel
// Weights for which a second thread is worth waking.
constexpr int64_t kInt8Share = 1 << 16;

int64_t parts_of(int64_t n, int64_t of) { return (n + of - 1) / of; }

/// The smallest bf16 that is at least x, so that no number is rounded beyond 127.
bf16 bf16_at_least(float x) {
  bf16 y(x);
  if (float(y) < x) ++y.bits;
  return y;
}

int32_t nearest(float x) { return int32_t(x + (x < 0 ? -0.5f : 0.5f)); }

/// The largest magnitude of n numbers; NaN or infinite if one of them is.
float largest_magnitude(const float* x, int64_t n) {
  float most = 0, bad = 0;
#pragma omp simd reduction(max : most) reduction(+ : bad)
  for (int64_t i = 0; i < n; ++i) {
    most = std::max(most, std::abs(x[i]));
    bad += x[i] * 0;  // NaN for an infinity or a NaN
  }
  return most + bad;
}

/// fn(panel) for the panels of a matrix, on all threads if the matrix is large.
template <class F>
void for_each_share(const Int8Matrix& w, F&& fn) {
  const int64_t panels = w.values.size(0);
  const int64_t shares = std::clamp<int64_t>(w.values.numel() / kInt8Share, 1, num_threads());
  parallel_for(panels, parts_of(panels, shares), fn);
}

/// Rows of x as 8-bit numbers in groups.
struct Int8Rows {
  std::vector<int8_t> values;  // [rows, groups, 32]
  std::vector<float> scales;   // [rows, groups]
  std::vector<int32_t> zeros;  // see Int8RowsTask

  Int8Rows(const Tensor& x, int64_t groups)
      : values(size_t(x.size(0) * groups * kInt8Group)), scales(size_t(x.size(0) * groups)), zeros(scales.size()) {
    const int64_t k = x.size(1);
    for (int64_t i = 0; i < x.size(0); ++i)
      for (int64_t g = 0; g < groups; ++g) {
        const int64_t n = std::min(kInt8Group, k - g * kInt8Group), place = i * groups + g;
        convert(x.data<float>() + i * k + g * kInt8Group, n, size_t(place));
      }
  }

 private:
  void convert(const float* x, int64_t n, size_t place) {
    const float most = largest_magnitude(x, n), factor = kLargest / most;
    scales[place] = most / kLargest;  // a NaN reaches the result
    if (!std::isfinite(factor)) return;
    int8_t* const y = values.data() + place * kInt8Group;
    int32_t sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; ++i) {
      const int32_t q = nearest(x[i] * factor);
      y[i] = int8_t(q);
      sum += q;
    }
    zeros[place] = -int32_t(kernels::kInt8Zero) * sum;
  }
};

Tensor linear_few(const Tensor& x, const Int8Matrix& w, const Tensor& bias) {
  const Int8Rows rows(x, w.values.size(1));
  Tensor y = Tensor::empty({x.size(0), w.out});
  for_each_share(w, [&](int64_t begin, int64_t end) {
    kernels::few_rows().multiply_int8({.rows = x.size(0),
                                       .groups = w.values.size(1),
                                       .x = rows.values.data(),
                                       .x_scales = rows.scales.data(),
                                       .x_zeros = rows.zeros.data(),
                                       .w = w.values.data<uint8_t>(),
                                       .w_scales = w.scales.data<bf16>(),
                                       .y = y.data<float>(),
                                       .y_row = w.out,
                                       .outputs = w.out,
                                       .bias = bias.defined() ? bias.data<float>() : nullptr,
                                       .begin = begin,
                                       .end = end});
  });
  return y;
}

}  // namespace

Int8Matrix quantize_int8(const Tensor& weight) {
  check<ShapeError>(
      weight.rank() == 2 && weight.numel() > 0 && (weight.dtype() == DType::f32 || weight.dtype() == DType::bf16),
      "quantize_int8", "weight is {} {}; needs f32 or bf16 [out, in]", weight.dtype(), weight.shape());
  const int64_t out = weight.size(0), in = weight.size(1);
  const int64_t panels = parts_of(out, kInt8Outputs), groups = parts_of(in, kInt8Group);
  Int8Matrix m{out, in, Tensor::empty({panels, groups, kPanelGroup}, DType::u8),
               zeros({panels, groups, kInt8Outputs}, DType::bf16)};
  m.values.fill_(double(kernels::kInt8Zero));
  parallel_for(out, kInt8Outputs, [&](int64_t begin, int64_t end) {
    const Tensor rows = weight.slice(0, begin, end).to(DType::f32).contiguous();
    uint8_t* const panel = m.values.data<uint8_t>() + begin / kInt8Outputs * groups * kPanelGroup;
    bf16* const scales = m.scales.data<bf16>() + begin / kInt8Outputs * groups * kInt8Outputs;
    for (int64_t r = 0; r < end - begin; ++r)
      for (int64_t g = 0; g < groups; ++g) {
        const float* const x = rows.data<float>() + r * in + g * kInt8Group;
        const int64_t n = std::min(kInt8Group, in - g * kInt8Group);
        const float most = largest_magnitude(x, n);
        check<ShapeError>(std::isfinite(most), "quantize_int8", "weight {} has an element in row {} that is not finite",
                          weight.shape(), begin + r);
        const bf16 scale = bf16_at_least(most / kLargest);
        scales[g * kInt8Outputs + r] = scale;
        if (float(scale) == 0) continue;
        uint8_t* const y = panel + g * kPanelGroup + r * kInt8Run;
        for (int64_t i = 0; i < n; ++i) {
          const int32_t q = std::clamp(nearest(x[i] / float(scale)), -int32_t(kLargest), int32_t(kLargest));
          y[i / kInt8Run * kInt8Outputs * kInt8Run + i % kInt8Run] = uint8_t(q + int32_t(kernels::kInt8Zero));
        }
      }
  });
  return m;
}

Tensor dequantize(const Int8Matrix& w, DType dtype) {
  check<ShapeError>(dtype == DType::f32 || dtype == DType::bf16, "dequantize", "gives f32 or bf16, not {}", dtype);
  const int64_t groups = w.values.size(1), width = groups * kInt8Group;
  Tensor y = Tensor::empty({w.out, w.in}, dtype);
  for_each_share(w, [&](int64_t begin, int64_t end) {
    std::vector<float> rows(size_t(kInt8Outputs * width));
    for (int64_t panel = begin; panel < end; ++panel) {
      for (int64_t g = 0; g < groups; ++g)
        kernels::few_rows().unpack_int8(w.values.data<uint8_t>() + (panel * groups + g) * kPanelGroup,
                                        w.scales.data<bf16>() + (panel * groups + g) * kInt8Outputs,
                                        rows.data() + g * kInt8Group, width);
      for (int64_t r = 0; r < std::min(kInt8Outputs, w.out - panel * kInt8Outputs); ++r) {
        const int64_t place = (panel * kInt8Outputs + r) * w.in;
        const float* const row = rows.data() + r * width;
        if (dtype == DType::f32)
          std::copy_n(row, w.in, y.data<float>() + place);
        else
          kernels::table<float>().narrow(row, 1, y.data<bf16>() + place, w.in);
      }
    }
  });
  return y;
}

Tensor linear(const Tensor& x, const Int8Matrix& w, const Tensor& bias, std::optional<DType> out_dtype) {
  const DType out = out_dtype.value_or(x.dtype());
  const auto is_short = [](DType d) { return d == DType::f32 || d == DType::bf16; };
  check<ShapeError>(x.rank() >= 1 && x.size(-1) == w.in && is_short(x.dtype()) && is_short(out), "linear",
                    "x is {} {}, weight is int8 [{}, {}]; needs f32 or bf16 [..., {}]", x.dtype(), x.shape(), w.out,
                    w.in, w.in);
  check<ShapeError>(!bias.defined() || bias.shape() == Shape{w.out}, "linear", "bias is {}, weight is int8 [{}, {}]",
                    bias.shape(), w.out, w.in);
  const int64_t rows = x.numel() / w.in;
  if (rows > kernels::kFewRows) return linear(x, dequantize(w, x.dtype()), bias, out);
  const Shape shape = x.shape().with(-1, w.out);
  if (rows == 0) return Tensor::empty(shape, out);
  const Tensor addend = bias.defined() ? bias.to(DType::f32).contiguous() : bias;
  return linear_few(x.to(DType::f32).contiguous().reshape({rows, w.in}), w, addend).to(out).reshape(shape);
}

}  // namespace vitrail::core
