#include "vitrail/core/ops/elementwise.h"

#include "vitrail/core/kernels/rows.h"

#include <functional>

namespace vitrail::core {
namespace {

void check_types(const char* op, const Tensor& a, const Tensor& b) {
  check<ShapeError>(a.dtype() == b.dtype(), op, "a is {}, b is {}: convert one with to()", a.dtype(), b.dtype());
}

/// y in `dtype` and the common shape of a and b; run(table, a, b, y, n) fills a run of n elements.
template <class F>
Tensor binary(const char* op, const Tensor& a, const Tensor& b, DType dtype, F&& run) {
  Tensor y = Tensor::empty(broadcast(a.shape(), b.shape(), op), dtype);
  dispatch_compute(dtype, op, [&](auto c) {
    const auto& table = kernels::table<decltype(c)>();
    for_each_run<decltype(c), 2, 1>({a, b}, {y},
                                    [&](auto& in, auto& out, int64_t n) { run(table, in[0], in[1], out[0], n); });
  });
  return y;
}

template <class F>
Tensor binary(const char* op, const Tensor& a, const Tensor& b, F&& run) {
  check_types(op, a, b);
  return binary(op, a, b, a.dtype(), run);
}

/// A scalar operand, exact enough for elements of x's type.
Tensor operand(double value, const Tensor& x) { return scalar(value, compute_dtype(x.dtype())); }

/// The first byte of a tensor that is not empty, and the byte after its last one.
std::pair<const std::byte*, const std::byte*> extent(const Tensor& t) {
  int64_t last = 0;
  for (int axis = 0; axis < t.rank(); ++axis) last += (t.size(axis) - 1) * t.stride(axis);
  return {t.raw(), t.raw() + (last + 1) * size_of(t.dtype())};
}

/// Returns b, or a copy of it if writing to a would change elements of b before they are read.
Tensor undisturbed(const Tensor& a, const Tensor& b) {
  if (!a.shares_storage(b) || a.numel() == 0 || b.numel() == 0) return b;
  const bool same = a.raw() == b.raw() && a.shape() == b.shape() && a.strides() == b.strides();
  const auto [a_begin, a_end] = extent(a);
  const auto [b_begin, b_end] = extent(b);
  return same || a_end <= b_begin || b_end <= a_begin ? b : b.clone();
}

/// Like binary(), but writes the result to a.
template <class F>
void binary_(const char* op, Tensor& a, const Tensor& b, F&& run) {
  check<ShapeError>(broadcast(a.shape(), b.shape(), op) == a.shape(), op, "b {} does not broadcast to a {}", b.shape(),
                    a.shape());
  const Tensor from = undisturbed(a, b);
  dispatch_compute(a.dtype(), op, [&](auto c) {
    const auto& table = kernels::table<decltype(c)>();
    for_each_run<decltype(c), 2, 1>({a, from}, {a},
                                    [&](auto& in, auto& out, int64_t n) { run(table, in[0], in[1], out[0], n); });
  });
}

/// 1 where holds(a, b), else 0. Integers are compared as integers.
template <class F>
Tensor compare(const char* op, const Tensor& a, const Tensor& b, F&& holds) {
  Tensor y = Tensor::empty(broadcast(a.shape(), b.shape(), op), DType::u8);
  const auto run = [&](auto c) {
    using C = decltype(c);
    for_each_run<C, 2, 1>({a, b}, {y}, [&](auto& in, auto& out, int64_t n) {
      for (int64_t i = 0; i < n; ++i) out[0][i] = C(holds(in[0][i], in[1][i]));
    });
  };
  if (is_floating(a.dtype()) || is_floating(b.dtype()))
    dispatch_compute(is_floating(a.dtype()) ? a.dtype() : DType::f64, op, run);
  else
    run(int64_t{});
  return y;
}

template <class F>
Tensor compare_same(const char* op, const Tensor& a, const Tensor& b, F&& holds) {
  check_types(op, a, b);
  return compare(op, a, b, holds);
}

/// Compares in f64 if the elements are integers and the scalar is not.
template <class F>
Tensor compare_scalar(const char* op, const Tensor& a, double b, F&& holds) {
  return compare(op, a, is_floating(a.dtype()) ? operand(b, a) : scalar(b, DType::f64), holds);
}

template <class C>
void affine_into(const Tensor& x, double factor, double offset, const Tensor& y) {
  for_each_run<C, 1, 1>({x}, {y}, [&](auto& in, auto& out, int64_t n) {
    kernels::table<C>().affine(in[0], C(factor), C(offset), out[0], n);
  });
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  return binary("add", a, b,
                [](auto& table, auto* x, auto* z, auto* y, int64_t n) { table.blend(x, 1, z, 1, 0, y, n); });
}

Tensor sub(const Tensor& a, const Tensor& b) {
  return binary("sub", a, b,
                [](auto& table, auto* x, auto* z, auto* y, int64_t n) { table.blend(x, 1, z, -1, 0, y, n); });
}

Tensor mul(const Tensor& a, const Tensor& b) {
  return binary("mul", a, b, [](auto& table, auto* x, auto* z, auto* y, int64_t n) { table.mul(x, z, y, n); });
}

Tensor div(const Tensor& a, const Tensor& b) {
  return binary("div", a, b, [](auto& table, auto* x, auto* z, auto* y, int64_t n) { table.div(x, z, y, n); });
}

Tensor div(const Tensor& a, double b) {
  return binary("div", a, operand(b, a), a.dtype(),
                [](auto& table, auto* x, auto* z, auto* y, int64_t n) { table.div(x, z, y, n); });
}

Tensor div(double a, const Tensor& b) {
  return binary("div", operand(a, b), b, b.dtype(),
                [](auto& table, auto* x, auto* z, auto* y, int64_t n) { table.div(x, z, y, n); });
}

Tensor maximum(const Tensor& a, const Tensor& b) {
  return binary("maximum", a, b, [](auto& table, auto* x, auto* z, auto* y, int64_t n) { table.maximum(x, z, y, n); });
}

Tensor minimum(const Tensor& a, const Tensor& b) {
  return binary("minimum", a, b, [](auto& table, auto* x, auto* z, auto* y, int64_t n) { table.minimum(x, z, y, n); });
}

Tensor maximum_backward(const Tensor& dy, const Tensor& a, const Tensor& b) {
  const Shape shape = broadcast(a.shape(), b.shape(), "maximum_backward");
  check<ShapeError>(dy.shape() == shape, "maximum_backward", "dy is {}, expected {}", dy.shape(), shape);
  Tensor da = Tensor::empty(shape, dy.dtype());
  dispatch_compute(dy.dtype(), "maximum_backward", [&](auto c) {
    using C = decltype(c);
    for_each_run<C, 3, 1>({dy, a, b}, {da}, [&](auto& in, auto& out, int64_t n) {
      kernels::table<C>().maximum_backward(in[0], in[1], in[2], out[0], n);
    });
  });
  return da;
}

Tensor affine(const Tensor& x, double factor, double offset) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch_compute(x.dtype(), "affine", [&](auto c) { affine_into<decltype(c)>(x, factor, offset, y); });
  return y;
}

Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b) {
  check<ShapeError>(mask.dtype() == DType::u8, "where", "mask is {}, it must be u8", mask.dtype());
  check_types("where", a, b);
  const Shape shape = broadcast(mask.shape(), broadcast(a.shape(), b.shape(), "where"), "where");
  Tensor y = Tensor::empty(shape, a.dtype());
  dispatch_compute(a.dtype(), "where", [&](auto c) {
    using C = decltype(c);
    for_each_run<C, 3, 1>({mask, a, b}, {y}, [&](auto& in, auto& out, int64_t n) {
      kernels::table<C>().where(in[0], in[1], in[2], out[0], n);
    });
  });
  return y;
}

Tensor masked_fill(const Tensor& x, const Tensor& mask, double value) {
  check<ShapeError>(broadcast(x.shape(), mask.shape(), "masked_fill") == x.shape(), "masked_fill",
                    "mask {} does not broadcast to x {}", mask.shape(), x.shape());
  return where(mask, scalar(value, x.dtype()), x);
}

Tensor eq(const Tensor& a, const Tensor& b) { return compare_same("eq", a, b, std::equal_to<>()); }
Tensor ne(const Tensor& a, const Tensor& b) { return compare_same("ne", a, b, std::not_equal_to<>()); }
Tensor lt(const Tensor& a, const Tensor& b) { return compare_same("lt", a, b, std::less<>()); }
Tensor le(const Tensor& a, const Tensor& b) { return compare_same("le", a, b, std::less_equal<>()); }
Tensor eq(const Tensor& a, double b) { return compare_scalar("eq", a, b, std::equal_to<>()); }
Tensor ne(const Tensor& a, double b) { return compare_scalar("ne", a, b, std::not_equal_to<>()); }
Tensor lt(const Tensor& a, double b) { return compare_scalar("lt", a, b, std::less<>()); }
Tensor le(const Tensor& a, double b) { return compare_scalar("le", a, b, std::less_equal<>()); }
Tensor gt(const Tensor& a, double b) { return compare_scalar("gt", a, b, std::greater<>()); }
Tensor ge(const Tensor& a, double b) { return compare_scalar("ge", a, b, std::greater_equal<>()); }

void add_(Tensor& a, const Tensor& b, double factor) {
  binary_("add_", a, b, [&](auto& table, auto* x, auto* z, auto* y, int64_t n) {
    table.blend(x, 1, z, std::remove_reference_t<decltype(*y)>(factor), 0, y, n);
  });
}

void mul_(Tensor& a, const Tensor& b) {
  binary_("mul_", a, b, [](auto& table, auto* x, auto* z, auto* y, int64_t n) { table.mul(x, z, y, n); });
}

void div_(Tensor& a, const Tensor& b) {
  binary_("div_", a, b, [](auto& table, auto* x, auto* z, auto* y, int64_t n) { table.div(x, z, y, n); });
}

void affine_(Tensor& a, double factor, double offset) {
  dispatch_compute(a.dtype(), "affine_", [&](auto c) { affine_into<decltype(c)>(a, factor, offset, a); });
}

void scale_(Tensor& a, double factor) {
  dispatch_compute(a.dtype(), "scale_", [&](auto c) { affine_into<decltype(c)>(a, factor, 0, a); });
}

void lerp_(Tensor& a, const Tensor& b, double t) {
  binary_("lerp_", a, b, [&](auto& table, auto* x, auto* z, auto* y, int64_t n) {
    table.lerp(x, z, std::remove_reference_t<decltype(*y)>(t), y, n);
  });
}

}  // namespace vitrail::core
