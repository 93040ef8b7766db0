#include "vitrail/core/ops/indexing.h"

#include "vitrail/core/kernels/rows.h"
#include "vitrail/core/ops/elementwise.h"

namespace vitrail::core {
namespace {

std::vector<int64_t> read_indices(const char* op, const char* name, const Tensor& t, int64_t limit) {
  check<ShapeError>(t.dtype() == DType::i64, op, "{} is {}, it must be i64", name, t.dtype());
  const Tensor dense = t.contiguous();
  const auto values = dense.span<int64_t>();
  for (size_t i = 0; i < values.size(); ++i)
    check<ShapeError>(0 <= values[i] && values[i] < limit, op, "{} {} at position {} is outside [0, {})", name,
                      values[i], i, limit);
  return {values.begin(), values.end()};
}

/// a's sizes, then b's without its first axis.
Shape rows_shape(const Shape& a, const Shape& b) {
  std::vector<int64_t> sizes(a.begin(), a.end());
  sizes.insert(sizes.end(), b.begin() + 1, b.end());
  return Shape(sizes);
}

/// The size of the axes before and after one of them.
struct Sides {
  int64_t outer = 1, inner = 1;
  Sides(const Shape& shape, int axis) {
    for (int i = 0; i < shape.rank(); ++i)
      if (i != axis) (i < axis ? outer : inner) *= shape[i];
  }
};

void check_index_vector(const char* op, const Tensor& index) {
  check<ShapeError>(index.rank() == 1, op, "index is {}, it must be [K]", index.shape());
}

/// Checks that index has the sizes of x in all axes but `axis`.
int check_beside(const char* op, const Tensor& x, int axis, const Tensor& index) {
  const int along = x.shape().normalize_axis(axis);
  check<ShapeError>(x.rank() == index.rank() && x.shape().with(along, 0) == index.shape().with(along, 0), op,
                    "x is {}, index is {}; they must agree beside axis {}", x.shape(), index.shape(), axis);
  return along;
}

/// fn(T{}) for a compute type of Rows that holds every element of dtype exactly.
template <class F>
void dispatch_exact(DType dtype, F&& fn) {
  if (dtype == DType::f64) return fn(double{});
  is_floating(dtype) ? fn(float{}) : fn(int64_t{});
}

}  // namespace

Tensor embedding(const Tensor& table, const Tensor& ids) {
  check<ShapeError>(table.rank() > 0, "embedding", "table needs rows, it is {}", table.shape());
  const auto rows = read_indices("embedding", "id", ids, table.size(0));
  Tensor y = Tensor::empty(rows_shape(ids.shape(), table.shape()), table.dtype());
  const Tensor dense = table.contiguous();
  const int64_t bytes = rows.empty() ? 0 : y.nbytes() / int64_t(rows.size());
  parallel_for(int64_t(rows.size()), rows_per_chunk(bytes), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      if (bytes) std::memcpy(y.raw() + i * bytes, dense.raw() + rows[size_t(i)] * bytes, size_t(bytes));
  });
  return y;
}

void embedding_backward_(Tensor& table_grad, const Tensor& dy, const Tensor& ids) {
  check<ShapeError>(table_grad.rank() > 0, "embedding_backward_", "table needs rows, it is {}", table_grad.shape());
  const auto ids_in_order = read_indices("embedding_backward_", "id", ids, table_grad.size(0));
  const Shape expected = rows_shape(ids.shape(), table_grad.shape());
  check<ShapeError>(dy.shape() == expected, "embedding_backward_", "dy is {}, expected {}", dy.shape(), expected);
  if (dy.numel() == 0) return;
  const int64_t count = int64_t(ids_in_order.size()), width = dy.numel() / count;
  dispatch_compute(table_grad.dtype(), "embedding_backward_", [&](auto c) {
    using C = decltype(c);
    Rows<C> grad(table_grad.reshape({table_grad.size(0), width}));
    const Rows<C> in(dy.contiguous().reshape({count, width}));
    constexpr int64_t kColumns = 64;  // a thread takes some columns and all ids, so each sum keeps its order
    parallel_for(width, kColumns, [&](int64_t begin, int64_t end) {
      C buffers[3][kColumns];
      for (int64_t i = 0; i < count; ++i) {
        const int64_t row = ids_in_order[size_t(i)], n = end - begin;
        C* to = grad.place(row, begin, buffers[2]);
        kernels::table<C>().blend(grad.read(row, begin, n, buffers[0]), 1, in.read(i, begin, n, buffers[1]), 1, 0, to,
                                  n);
        grad.write(row, begin, n, to);
      }
    });
  });
}

Tensor one_hot(const Tensor& labels, int64_t classes, double on, double off, DType dtype) {
  const auto hot = read_indices("one_hot", "label", labels, classes);
  Tensor y = full(labels.shape().insert(labels.rank(), classes), off, dtype);
  dispatch_all(dtype, [&](auto v) {
    using T = decltype(v);
    for (size_t i = 0; i < hot.size(); ++i) y.data<T>()[int64_t(i) * classes + hot[i]] = T(compute_cast<T>(on));
  });
  return y;
}

Tensor gather_last(const Tensor& x, const Tensor& index) {
  check<ShapeError>(x.rank() == 2 && index.shape() == Shape{x.size(0)}, "gather_last",
                    "x is {}, index is {}; they must be [N, K] and [N]", x.shape(), index.shape());
  const auto columns = read_indices("gather_last", "index", index, x.size(1));
  Tensor y = Tensor::empty(index.shape(), x.dtype());
  dispatch_all(x.dtype(), [&](auto v) {
    using T = decltype(v);
    for (size_t i = 0; i < columns.size(); ++i)
      y.data<T>()[i] = x.data<T>()[int64_t(i) * x.stride(0) + columns[i] * x.stride(1)];
  });
  return y;
}

Tensor index_select(const Tensor& x, int axis, const Tensor& index) {
  check_index_vector("index_select", index);
  const int along = x.shape().normalize_axis(axis);
  const auto chosen = read_indices("index_select", "index", index, x.size(along));
  const Tensor dense = x.contiguous();
  Tensor y = Tensor::empty(x.shape().with(along, index.size(0)), x.dtype());
  const Sides sides(x.shape(), along);
  const int64_t bytes = sides.inner * size_of(x.dtype()), n = x.size(along), count = int64_t(chosen.size());
  parallel_for(sides.outer * count, rows_per_chunk(sides.inner), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end && bytes; ++i)
      std::memcpy(y.raw() + i * bytes, dense.raw() + (i / count * n + chosen[size_t(i % count)]) * bytes,
                  size_t(bytes));
  });
  return y;
}

void index_add_(Tensor& dx, int axis, const Tensor& index, const Tensor& dy) {
  check_index_vector("index_add_", index);
  const int along = dx.shape().normalize_axis(axis);
  const auto chosen = read_indices("index_add_", "index", index, dx.size(along));
  const Shape expected = dx.shape().with(along, index.size(0));
  check<ShapeError>(dy.shape() == expected, "index_add_", "dy is {}, expected {}", dy.shape(), expected);
  for (size_t k = 0; k < chosen.size(); ++k) {
    Tensor to = dx.select(along, chosen[k]);
    add_(to, dy.select(along, int64_t(k)));
  }
}

Tensor gather(const Tensor& x, int axis, const Tensor& index) {
  const int along = check_beside("gather", x, axis, index);
  const auto chosen = read_indices("gather", "index", axis_last(index, along), x.size(along));
  Tensor y = Tensor::empty(index.shape(), x.dtype());
  const int64_t n = index.size(along);
  dispatch_exact(x.dtype(), [&](auto c) {
    using C = decltype(c);
    for_each_row<C, 1, 1>({axis_last(x, along)}, {axis_last(y, along)}, [&](int64_t row, auto& in, auto& out) {
      for (int64_t i = 0; i < n; ++i) out[0][i] = in[0][chosen[size_t(row * n + i)]];
    });
  });
  return y;
}

void scatter_add_(Tensor& y, int axis, const Tensor& index, const Tensor& src) {
  const int along = check_beside("scatter_add_", y, axis, index);
  check<ShapeError>(src.shape() == index.shape(), "scatter_add_", "src is {}, index is {}", src.shape(), index.shape());
  const auto chosen = read_indices("scatter_add_", "index", axis_last(index, along), y.size(along));
  const int64_t n = index.size(along);
  dispatch_compute(y.dtype(), "scatter_add_", [&](auto c) {
    using C = decltype(c);
    const Tensor to = axis_last(y, along);
    for_each_row<C, 2, 1>({to, axis_last(src, along)}, {to}, [&](int64_t row, auto& in, auto& out) {
      if (in[0] != out[0]) std::copy_n(in[0], to.size(-1), out[0]);
      for (int64_t i = 0; i < n; ++i) out[0][chosen[size_t(row * n + i)]] += in[1][i];
    });
  });
}

}  // namespace vitrail::core
