#include "vitrail/core/ops/rope_sequence.h"

#include "vitrail/core/error.h"
#include "vitrail/core/kernels/rows.h"
#include "vitrail/core/parallel.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vitrail::core {
namespace {

double scaled_frequency(double frequency, const RopeScaling& scaling) {
  if (scaling.kind == RopeScaling::Kind::none) return frequency;
  if (scaling.kind == RopeScaling::Kind::linear) return frequency / scaling.factor;
  const double turns = double(scaling.original_context) * frequency / (2 * std::numbers::pi);
  const double ramp =
      (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);  // 0: low, 1: high
  const double kept = std::clamp(ramp, 0.0, 1.0);
  return kept * frequency + (1 - kept) * frequency / scaling.factor;
}

}  // namespace

std::vector<double> rope_frequencies(int64_t head_dim, double base, const RopeScaling& scaling) {
  check<ShapeError>(head_dim > 0 && head_dim % 2 == 0, "rope",
                    "heads have {} dimensions; pairs of them need an even number", head_dim);
  check<ConfigError>(base > 0, "rope", "the base of the frequencies is {}; it must be positive", base);
  check<ConfigError>(scaling.factor > 0, "rope", "factor is {}; it must be positive", scaling.factor);
  check<ConfigError>(scaling.kind != RopeScaling::Kind::llama3 ||
                         (scaling.low_freq_factor > 0 && scaling.high_freq_factor > scaling.low_freq_factor),
                     "rope", "low_freq_factor is {}, high_freq_factor is {}; needs 0 < low < high",
                     scaling.low_freq_factor, scaling.high_freq_factor);
  std::vector<double> frequencies;
  for (int64_t i = 0; i < head_dim / 2; ++i)
    frequencies.push_back(scaled_frequency(std::pow(base, -2 * double(i) / double(head_dim)), scaling));
  return frequencies;
}

Rope make_rope(const Tensor& positions, const std::vector<double>& frequencies, DType dtype) {
  check<ShapeError>(positions.dtype() == DType::i64 && positions.rank() == 1, "rope",
                    "positions are {} {}; needs i64 [N]", positions.dtype(), positions.shape());
  const Tensor dense = positions.contiguous();
  const auto half = int64_t(frequencies.size());
  Rope rope{Tensor::empty({dense.size(0), half}, dtype), Tensor::empty({dense.size(0), half}, dtype)};
  dispatch_compute(dtype, "rope", [&](auto zero) {
    using C = decltype(zero);
    parallel_for(dense.size(0), 64, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        for (int64_t d = 0; d < half; ++d) {
          const double angle = double(dense.data<int64_t>()[i]) * frequencies[size_t(d)];
          rope.cos.data<C>()[i * half + d] = C(std::cos(angle));
          rope.sin.data<C>()[i * half + d] = C(std::sin(angle));
        }
    });
  });
  return rope;
}

}  // namespace vitrail::core
