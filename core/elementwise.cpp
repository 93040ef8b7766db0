#include "vitrail/core/kernels/rows.h"
#include "vitrail/core/ops.h"

namespace vitrail::core {
namespace {

void check_types(const char* op, const Tensor& a, const Tensor& b) {
  check<ShapeError>(a.dtype() == b.dtype(), op, "a is {}, b is {}: convert one with to()", a.dtype(), b.dtype());
}

/// y of the common shape, and run(table, a, b, y, n) for its runs.
template <class F>
Tensor binary(const char* op, const Tensor& a, const Tensor& b, F&& run) {
  check_types(op, a, b);
  Tensor y = Tensor::empty(broadcast(a.shape(), b.shape(), op), a.dtype());
  dispatch_compute(a.dtype(), op, [&](auto c) {
    const auto& table = kernels::table<decltype(c)>();
    for_each_run<decltype(c), 2, 1>({a, b}, {y},
                                    [&](auto& in, auto& out, int64_t n) { run(table, in[0], in[1], out[0], n); });
  });
  return y;
}

/// The same, into a.
template <class F>
void binary_(const char* op, Tensor& a, const Tensor& b, F&& run) {
  check<ShapeError>(broadcast(a.shape(), b.shape(), op) == a.shape(), op, "b {} does not broadcast to a {}", b.shape(),
                    a.shape());
  dispatch_compute(a.dtype(), op, [&](auto c) {
    const auto& table = kernels::table<decltype(c)>();
    for_each_run<decltype(c), 2, 1>({a, b}, {a},
                                    [&](auto& in, auto& out, int64_t n) { run(table, in[0], in[1], out[0], n); });
  });
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

void add_(Tensor& a, const Tensor& b, double factor) {
  binary_("add_", a, b, [&](auto& table, auto* x, auto* z, auto* y, int64_t n) {
    table.blend(x, 1, z, std::remove_reference_t<decltype(*y)>(factor), 0, y, n);
  });
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
