#include "vitrail/core/kernels/rows.h"
#include "vitrail/core/ops.h"

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
Shape joined(const Shape& a, const Shape& b) {
  std::vector<int64_t> sizes(a.begin(), a.end());
  sizes.insert(sizes.end(), b.begin() + 1, b.end());
  return Shape(sizes);
}

}  // namespace

Tensor concat(const std::vector<Tensor>& parts, int axis) {
  check<ShapeError>(!parts.empty(), "concat", "needs at least one part");
  const Shape& first = parts[0].shape();
  const int along = first.normalize_axis(axis);
  int64_t total = 0;
  for (const Tensor& part : parts) {
    check<ShapeError>(part.rank() == first.rank() && part.shape().with(along, 0) == first.with(along, 0), "concat",
                      "{} does not fit {} beside axis {}", part.shape(), first, axis);
    check<ShapeError>(part.dtype() == parts[0].dtype(), "concat", "parts are {} and {}", parts[0].dtype(),
                      part.dtype());
    total += part.size(along);
  }
  Tensor y = Tensor::empty(first.with(along, total), parts[0].dtype());
  int64_t at = 0;
  for (const Tensor& part : parts) {
    y.slice(along, at, at + part.size(along)).copy_(part);
    at += part.size(along);
  }
  return y;
}

Tensor embedding(const Tensor& table, const Tensor& ids) {
  check<ShapeError>(table.rank() > 0, "embedding", "table needs rows, it is {}", table.shape());
  const auto rows = read_indices("embedding", "id", ids, table.size(0));
  Tensor y = Tensor::empty(joined(ids.shape(), table.shape()), table.dtype());
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
  const Shape expected = joined(ids.shape(), table_grad.shape());
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

}  // namespace vitrail::core
