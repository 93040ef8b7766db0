#include "vitrail/core/ops/reduce.h"

#include "vitrail/core/kernels/rows.h"
#include "vitrail/core/ops/activation.h"
#include "vitrail/core/ops/elementwise.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace vitrail::core {
namespace {

constexpr int64_t kPiece = 4096;  // elements that make one partial sum

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Partial sums laid out [groups][parts][width]; part k of group g is filled by fn(g, k, its width doubles).
template <class F>
std::vector<double> partial_sums(int64_t groups, int64_t parts, int64_t width, int64_t grain, F&& fn) {
  std::vector<double> partial(size_t(groups * parts * width), 0.0);
  parallel_for(groups * parts, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) fn(i / parts, i % parts, partial.data() + i * width);
  });
  return partial;
}

/// Sums groups of `rows` rows each to one number a group, a part being kPiece elements.
template <class C>
std::vector<double> sum_rows(const Rows<C>& x, int64_t groups, int64_t rows, int64_t& parts) {
  const int64_t runs = divide_up(x.length(), kPiece);
  const int64_t runs_per_part = std::max<int64_t>(1, kPiece / std::max<int64_t>(x.length(), 1));
  parts = divide_up(rows * runs, runs_per_part);
  return partial_sums(groups, parts, 1, rows_per_chunk(std::min(kPiece, rows * x.length())),
                      [&](int64_t group, int64_t part, double* total) {
                        C buffer[kPiece];
                        const int64_t end = std::min(rows * runs, (part + 1) * runs_per_part);
                        for (int64_t i = part * runs_per_part; i < end; ++i) {
                          const int64_t at = i % runs * kPiece, n = std::min(kPiece, x.length() - at);
                          *total += kernels::table<C>().sum(x.read(group * rows + i / runs, at, n, buffer), n);
                        }
                      });
}

constexpr int64_t kMostParts = 64;

/// Sums groups of `rows` rows each to one row a group, a part being 64 rows or more, so that there are few parts.
template <class C>
std::vector<double> sum_columns(const Rows<C>& x, int64_t groups, int64_t rows, int64_t& parts) {
  const int64_t width = x.length(),
                rows_per_part =
                    std::max({int64_t{64}, kPiece / std::max<int64_t>(width, 1), divide_up(rows, kMostParts)});
  parts = divide_up(rows, rows_per_part);
  return partial_sums(groups, parts, width, rows_per_chunk(std::min(rows, rows_per_part) * width),
                      [&](int64_t group, int64_t part, double* total) {
                        Buffers<C> buffer(1, width);
                        const int64_t end = std::min(rows, (part + 1) * rows_per_part);
                        for (int64_t row = part * rows_per_part; row < end; ++row)
                          kernels::table<C>().accumulate(x.read(group * rows + row, buffer[0]), total, width);
                      });
}

/// factor times the sum over the marked axes; the kept ones in row-major order.
template <class C>
void reduce(const Tensor& x, std::array<bool, kMaxRank> reduced, double factor, Tensor& y) {
  Tensor sorted = x;  // first the kept axes, then the reduced ones; the last axis stays last
  for (int pass = 0; pass < x.rank(); ++pass)
    for (int i = 0; i + 2 < x.rank(); ++i)
      if (reduced[size_t(i)] && !reduced[size_t(i) + 1]) {
        sorted = sorted.transpose(i, i + 1);
        std::swap(reduced[size_t(i)], reduced[size_t(i) + 1]);
      }
  int64_t groups = 1, rows = 1;
  for (int i = 0; i + 1 < x.rank(); ++i) (reduced[size_t(i)] ? rows : groups) *= sorted.size(i);
  const bool last = x.rank() == 0 || reduced[size_t(x.rank() - 1)];
  if (groups == 1 && last) {
    std::array<Tensor, 1> merged{sorted};
    merge_axes(merged);
    sorted = merged[0];
    rows = Rows<C>(sorted).count();
  }
  const Rows<C> in(sorted);
  const int64_t width = last ? 1 : in.length();
  int64_t parts = 0;
  const auto partial = last ? sum_rows(in, groups, rows, parts) : sum_columns(in, groups, rows, parts);
  dispatch_all(y.dtype(), [&](auto v) {
    using T = decltype(v);
    T* out = y.data<T>();
    for (int64_t i = 0; i < groups * width; ++i) {
      const int64_t first = i / width * parts * width + i % width;
      double total = 0;
      for (int64_t k = 0; k < parts; ++k) total += partial[size_t(first + k * width)];
      out[i] = T(compute_cast<T>(C(total * factor)));
    }
  });
}

bool is_reduced(const Axes& axes, const Shape& shape, int axis) {
  return axes.empty() ||
         std::any_of(axes.begin(), axes.end(), [&](int named) { return shape.normalize_axis(named) == axis; });
}

Tensor reduce(const char* op, const Tensor& x, const Axes& axes, bool keepdim, bool mean,
              std::optional<DType> out_dtype = {}) {
  std::array<bool, kMaxRank> reduced{};
  int64_t count = 1;
  for (int axis = 0; axis < x.rank(); ++axis) {
    reduced[size_t(axis)] = is_reduced(axes, x.shape(), axis);
    if (reduced[size_t(axis)]) count *= x.size(axis);
  }
  Tensor y = Tensor::empty(reduced_shape(x.shape(), axes, keepdim), out_dtype.value_or(x.dtype()));
  dispatch_compute(x.dtype(), op, [&](auto c) { reduce<decltype(c)>(x, reduced, mean ? 1 / double(count) : 1, y); });
  return y;
}

/// NaN counts as the largest, so that the result shows it.
template <class C>
bool larger(C a, C b) {
  return a > b || (std::isnan(a) && !std::isnan(b));
}

/// Merges the reduced axes into the last axis. Copies unless the strides of x allow a view.
Tensor as_rows(const char* op, const Tensor& x, const Axes& axes) {
  const Shape kept = kept_shape(x.shape(), axes);
  check<ShapeError>(x.numel() > 0 || kept.numel() == 0, op, "{} has no elements along the axes", x.shape());
  std::vector<int> order;
  for (bool reduced : {false, true})
    for (int axis = 0; axis < x.rank(); ++axis)
      if (is_reduced(axes, x.shape(), axis) == reduced) order.push_back(axis);
  const int64_t rows = kept.numel();
  return x.permute(order).contiguous().reshape({rows, rows ? x.numel() / rows : 1});
}

/// x minus its mean over axes, in the compute type.
Tensor centred(const Tensor& x, const Axes& axes) {
  const Tensor wide = x.to(compute_dtype(x.dtype()));
  return sub(wide, mean(wide, axes, true));
}

/// The best element along axis and its position; the first one on ties.
template <class Better>
MaxOut extreme(const char* op, const Tensor& x, int axis, bool keepdim, Better better) {
  const int along = x.shape().normalize_axis(axis);
  const Shape shape = x.shape().without(along);
  check<ShapeError>(x.size(along) > 0 || shape.numel() == 0, op, "axis {} of {} is empty", axis, x.shape());
  MaxOut best{Tensor::empty(shape, x.dtype()), Tensor::empty(shape, DType::i64)};
  dispatch_floating(x.dtype(), op, [&](auto v) {
    using T = decltype(v);
    using C = compute_t<T>;
    const Rows<C> rows(axis_last(x, along));
    parallel_for(shape.numel(), rows_per_chunk(rows.length()), [&](int64_t begin, int64_t end) {
      Buffers<C> buffer(1, rows.length());
      for (int64_t row = begin; row < end; ++row) {
        const C* values = rows.read(row, buffer[0]);
        const C* top = std::max_element(values, values + rows.length(), [&](C a, C b) { return better(b, a); });
        best.values.data<T>()[row] = T(*top);
        best.indices.data<int64_t>()[row] = top - values;
      }
    });
  });
  if (!keepdim) return best;
  return {best.values.unsqueeze(along), best.indices.unsqueeze(along)};
}

/// fn(elements, n) for each piece of x.
template <class C, class F>
auto piece_values(const Tensor& x, F&& fn) {
  std::array<Tensor, 1> merged{x};
  merge_axes(merged);
  const Rows<C> rows(merged[0]);
  const int64_t runs = divide_up(rows.length(), kPiece);
  std::vector<decltype(fn(static_cast<const C*>(nullptr), int64_t{}))> values(size_t(rows.count() * runs));
  parallel_for(rows.count() * runs, rows_per_chunk(std::min(rows.length(), kPiece)), [&](int64_t begin, int64_t end) {
    C buffer[kPiece];
    for (int64_t i = begin; i < end; ++i) {
      const int64_t at = i % runs * kPiece, n = std::min(kPiece, rows.length() - at);
      values[size_t(i)] = fn(rows.read(i / runs, at, n, buffer), n);
    }
  });
  return values;
}

void check_rows(const char* op, const Tensor& x) {
  check<ShapeError>(x.rank() > 0, op, "needs at least one axis, was given {}", x.shape());
}

/// Applies the row kernel y = f(x) that pick(table) returns.
template <class F>
Tensor map_rows(const char* op, const Tensor& x, F&& pick) {
  check_rows(op, x);
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch_compute(x.dtype(), op, [&](auto c) {
    const auto kernel = pick(kernels::table<decltype(c)>());
    for_each_row<decltype(c), 1, 1>({x}, {y}, [&](int64_t, auto& in, auto& out) { kernel(in[0], out[0], x.size(-1)); });
  });
  return y;
}

template <class F>
Tensor map_rows_backward(const char* op, const Tensor& dy, const Tensor& y, F&& pick) {
  check_rows(op, y);
  check<ShapeError>(dy.shape() == y.shape(), op, "dy is {}, y is {}", dy.shape(), y.shape());
  Tensor dx = Tensor::empty(y.shape(), y.dtype());
  dispatch_compute(y.dtype(), op, [&](auto c) {
    const auto kernel = pick(kernels::table<decltype(c)>());
    for_each_row<decltype(c), 2, 1>({dy, y}, {dx},
                                    [&](int64_t, auto& in, auto& out) { kernel(in[0], in[1], out[0], y.size(-1)); });
  });
  return dx;
}

}  // namespace

Tensor sum(const Tensor& x, const Axes& axes, bool keepdim) { return reduce("sum", x, axes, keepdim, false); }

Tensor mean(const Tensor& x, const Axes& axes, bool keepdim) { return reduce("mean", x, axes, keepdim, true); }

Tensor sum_to(const Tensor& x, const Shape& shape, std::optional<DType> out_dtype) {
  if (x.shape() == shape) return x.to(out_dtype.value_or(x.dtype()));
  check<ShapeError>(broadcast(shape, x.shape(), "sum_to") == x.shape(), "sum_to", "{} does not broadcast to {}", shape,
                    x.shape());
  std::vector<int> axes;
  const int added = x.rank() - shape.rank();
  for (int axis = 0; axis < x.rank(); ++axis)
    if (axis < added || (shape[axis - added] == 1 && x.size(axis) != 1)) axes.push_back(axis);
  return reduce("sum_to", x, axes, true, false, out_dtype).reshape(shape);
}

MaxOut max(const Tensor& x, int axis, bool keepdim) {
  return extreme("max", x, axis, keepdim, [](auto a, auto b) { return larger(a, b); });
}
MaxOut min(const Tensor& x, int axis, bool keepdim) {
  return extreme("min", x, axis, keepdim, [](auto a, auto b) { return a < b || (std::isnan(a) && !std::isnan(b)); });
}
Tensor argmax(const Tensor& x, int axis) { return max(x, axis).indices; }
Tensor argmin(const Tensor& x, int axis) { return min(x, axis).indices; }

Tensor amax(const Tensor& x, const Axes& axes, bool keepdim) {
  return max(as_rows("amax", x, axes), -1).values.reshape(reduced_shape(x.shape(), axes, keepdim));
}
Tensor amin(const Tensor& x, const Axes& axes, bool keepdim) {
  return min(as_rows("amin", x, axes), -1).values.reshape(reduced_shape(x.shape(), axes, keepdim));
}
Tensor amax_backward(const Tensor& dy, const Tensor& x, const Tensor& y, const Axes& axes) {
  const Tensor mask = eq(x, spread(y, x.shape(), axes));
  const Tensor share = div(dy.contiguous().reshape(kept_shape(x.shape(), axes)), sum(mask.to(dy.dtype()), axes, true));
  return where(mask, share, scalar(0, dy.dtype()));
}

Tensor var(const Tensor& x, const Axes& axes, bool keepdim, double correction) {
  const double count = double(x.numel()) / double(reduced_shape(x.shape(), axes, false).numel());
  const Tensor deviation = centred(x, axes);
  const Tensor squares = sum(square(deviation), axes, keepdim);
  return affine(squares, 1 / std::max(count - correction, 0.0)).to(x.dtype());
}
Tensor var_backward(const Tensor& dy, const Tensor& x, const Axes& axes, double correction) {
  const double count = double(x.numel()) / double(std::max<int64_t>(dy.numel(), 1));
  Tensor dx = centred(x, axes);
  mul_(dx, spread(dy, x.shape(), axes));
  scale_(dx, 2 / std::max(count - correction, 0.0));
  return dx.to(x.dtype());
}
Tensor stddev(const Tensor& x, const Axes& axes, bool keepdim, double correction) {
  return sqrt(var(x, axes, keepdim, correction));
}

Tensor norm(const Tensor& x, const Axes& axes, bool keepdim) {
  const Tensor wide = x.to(compute_dtype(x.dtype()));
  return sqrt(sum(square(wide), axes, keepdim)).to(x.dtype());
}

Tensor logsumexp(const Tensor& x, const Axes& axes, bool keepdim) {
  const Tensor wide = x.to(compute_dtype(x.dtype()));
  Tensor top = amax(wide, axes, true);
  top = where(lt(abs(top), std::numeric_limits<double>::infinity()), top, scalar(0, top.dtype()));  // e^(inf - inf)
  const Tensor total = log(sum(exp(sub(wide, top)), axes, true));
  return add(total, top).reshape(reduced_shape(x.shape(), axes, keepdim)).to(x.dtype());
}

Tensor cumsum(const Tensor& x, int axis, bool reverse) {
  const int along = x.shape().normalize_axis(axis);
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  const int64_t n = x.size(along);
  dispatch_compute(x.dtype(), "cumsum", [&](auto c) {
    using C = decltype(c);
    for_each_row<C, 1, 1>({axis_last(x, along)}, {axis_last(y, along)}, [&](int64_t, auto& in, auto& out) {
      double total = 0;
      for (int64_t k = 0; k < n; ++k) {
        const int64_t i = reverse ? n - 1 - k : k;
        out[0][i] = C(total += double(in[0][i]));
      }
    });
  });
  return y;
}

MaxOut topk(const Tensor& x, int64_t k) {
  check_rows("topk", x);
  check<ShapeError>(0 <= k && k <= x.size(-1), "topk", "k is {}, the last axis of {} has {}", k, x.shape(), x.size(-1));
  const Shape shape = x.shape().with(-1, k);
  MaxOut best{Tensor::empty(shape, x.dtype()), Tensor::empty(shape, DType::i64)};
  dispatch_floating(x.dtype(), "topk", [&](auto v) {
    using T = decltype(v);
    using C = compute_t<T>;
    const Rows<C> rows(x);
    parallel_for(rows.count(), rows_per_chunk(rows.length()), [&](int64_t begin, int64_t end) {
      Buffers<C> buffer(1, rows.length());
      std::vector<int64_t> order(size_t(rows.length()));
      for (int64_t row = begin; row < end; ++row) {
        const C* values = rows.read(row, buffer[0]);
        std::iota(order.begin(), order.end(), int64_t{0});
        std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int64_t a, int64_t b) {
          return larger(values[a], values[b]) || (!larger(values[b], values[a]) && a < b);
        });
        for (int64_t i = 0; i < k; ++i) {
          best.values.data<T>()[row * k + i] = T(values[order[size_t(i)]]);
          best.indices.data<int64_t>()[row * k + i] = order[size_t(i)];
        }
      }
    });
  });
  return best;
}

Tensor softmax(const Tensor& x) {
  return map_rows("softmax", x, [](auto& table) { return table.softmax; });
}
Tensor softmax_backward(const Tensor& dy, const Tensor& y) {
  return map_rows_backward("softmax_backward", dy, y, [](auto& table) { return table.softmax_backward; });
}

Tensor log_softmax(const Tensor& x) {
  return map_rows("log_softmax", x, [](auto& table) { return table.log_softmax; });
}
Tensor log_softmax_backward(const Tensor& dy, const Tensor& y) {
  return map_rows_backward("log_softmax_backward", dy, y, [](auto& table) { return table.log_softmax_backward; });
}

double norm(const Tensor& x) {
  return dispatch_compute(x.dtype(), "norm", [&](auto c) {
    using C = decltype(c);
    const auto squares = piece_values<C>(x, [](const C* p, int64_t n) { return kernels::table<C>().dot(p, p, n); });
    return std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
  });
}

Shape reduced_shape(const Shape& shape, const Axes& axes, bool keepdim) {
  if (keepdim) return kept_shape(shape, axes);
  Shape out = shape;
  for (int axis = shape.rank() - 1; axis >= 0; --axis)
    if (is_reduced(axes, shape, axis)) out = out.without(axis);
  return out;
}

Shape kept_shape(const Shape& shape, const Axes& axes) {
  Shape out = shape;
  if (axes.empty())
    for (int axis = 0; axis < shape.rank(); ++axis) out = out.with(axis, 1);
  for (int axis : axes) out = out.with(axis, 1);
  return out;
}

Tensor spread(const Tensor& y, const Shape& shape, const Axes& axes) {
  return y.contiguous().reshape(kept_shape(shape, axes)).expand(shape);
}

bool all_finite(const Tensor& x) {
  return dispatch_compute(x.dtype(), "all_finite", [&](auto c) {
    using C = decltype(c);
    const auto finite =
        piece_values<C>(x, [](const C* p, int64_t n) { return int(kernels::table<C>().all_finite(p, n)); });
    return std::find(finite.begin(), finite.end(), 0) == finite.end();
  });
}

}  // namespace vitrail::core
