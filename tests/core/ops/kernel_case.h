// Compares kernels with the definitions in core/reference/: one case runs in f32, bf16 and f64, on dense and on strided
// inputs, on one thread and on two.
#pragma once

#include "tests/support/close.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/parallel.h"
#include "vitrail/core/rng.h"

#include <functional>
#include <string>
#include <vector>

namespace vitrail::test {

using Tensors = std::vector<Tensor>;

/// Shapes that kernels stumble over: scalars, empty and single axes, odd lengths, many axes, long rows.
inline const std::vector<Shape> kShapes = {
    {}, {0}, {1}, {3, 0}, {5}, {2, 3}, {7, 1}, {3, 17}, {2, 1, 4, 5}, {2, 3, 1, 2, 2, 3}, {10007}, {33, 129}};

/// A strided view with the same values: every second element of a larger tensor whose first and last axes are swapped.
inline Tensor strided(const Tensor& x) {
  if (x.rank() == 0) return x;
  const Tensor turned = x.transpose(0, -1);
  const Shape& shape = turned.shape();
  Tensor wide = full(shape.with(-1, 2 * shape[-1]), 77, x.dtype());
  Tensor view = wide.slice(-1, 0, 2 * shape[-1], 2);
  view.copy_(turned);
  return view.transpose(0, -1);
}

inline bool same_bits(const Tensors& a, const Tensors& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].defined() != b[i].defined()) return false;
    if (!a[i].defined()) continue;
    if (a[i].dtype() != b[i].dtype() || !(a[i].shape() == b[i].shape())) return false;
    const Tensor x = a[i].contiguous(), y = b[i].contiguous();
    if (!std::equal(x.raw(), x.raw() + x.nbytes(), y.raw())) return false;
  }
  return true;
}

/// Sets the thread count for a scope.
class Threads {
 public:
  explicit Threads(int n) : before_(num_threads()) { set_num_threads(n); }
  ~Threads() { set_num_threads(before_); }

 private:
  int before_;
};

struct KernelCase {
  std::string name;
  std::function<Tensors(const Tensors&)> run;
  double tolerance = 2e-6;       // relative_error of f32
  double bf16_tolerance = 6e-3;  // of bf16: one rounding is 2^-9
  /// Computes the same results with core/reference/. Without it, f32 and bf16 are compared with f64.
  std::function<Tensors(const Tensors&)> definition = {};
};

/// Runs c on inputs (f64) in each type and layout. definition may give fewer results than run.
inline void check_case(const KernelCase& c, const Tensors& inputs) {
  for (DType dtype : {DType::f32, DType::bf16}) {
    Tensors dense, spread, exact;
    for (const Tensor& x : inputs) {
      const bool number = is_floating(x.dtype());
      dense.push_back(number ? x.to(dtype) : x);
      spread.push_back(number ? strided(dense.back()) : x);
      exact.push_back(number ? dense.back().to(DType::f64) : x);
    }
    INFO(c.name << " in " << to_string(dtype) << " on " << to_string(inputs[0].shape()));
    Tensors result, on_two;
    {
      const Threads one(1);
      result = c.run(dense);
    }
    {
      const Threads two(2);
      on_two = c.run(dense);
    }
    const Tensors f64 = c.run(exact), of_strided = c.run(spread);
    const Tensors expected = c.definition ? c.definition(exact) : f64;
    for (size_t i = 0; i < expected.size(); ++i)
      if (expected[i].defined()) CHECK(relative_error(f64[i], expected[i]) < 1e-11);
    CHECK(same_bits(result, on_two));
    for (size_t i = 0; i < result.size(); ++i) {
      const Tensor& target = i < expected.size() ? expected[i] : f64[i];
      if (!target.defined()) continue;
      CHECK(result[i].is_contiguous());
      CAPTURE(i);
      const double tolerance = dtype == DType::bf16 ? c.bf16_tolerance : c.tolerance;
      CHECK(relative_error(result[i], target) < tolerance);
      CHECK(relative_error(of_strided[i], target) < tolerance);
    }
  }
}

}  // namespace vitrail::test
