#include "core/error.h"
#include "core/matrix.h"
#include "core/ops.h"
#include "core/rows.h"

namespace vitrail::core {
namespace {

/// Scores of a head that live at once, about 1 MiB: they stay in the second-level cache between the products.
constexpr int64_t kTileElements = 1 << 18;

int64_t padded(int64_t columns) { return (columns + simd::kGemmColumns - 1) / simd::kGemmColumns * simd::kGemmColumns; }

/// c = a b, or c += a b, for matrices of one head; the rows of b and c are as long as their strides.
template <class C>
void multiply(const Matrix<const C>& a, const Matrix<const C>& b, const Matrix<C>& c, bool add = false) {
  simd::table<C>().gemm(c.rows, padded(c.cols), a.cols, a.data, a.row_stride, a.col_stride, b.data, b.row_stride,
                        c.data, c.row_stride, add);
}

/// The matrices of a tensor [B, H, rows, D] as elements of C, with rows of whole vectors: in place where they lie so,
/// else through a buffer.
template <class C>
class Heads {
 public:
  explicit Heads(const Tensor& t)
      : tensor_(t),
        heads_(t.size(1)),
        rows_(t.size(2)),
        cols_(t.size(3)),
        width_(padded(cols_)),
        row_stride_(t.stride(2)),
        col_stride_(t.stride(3)),
        element_(size_of(t.dtype())),
        in_place_(t.dtype() == dtype_of<C>() && col_stride_ == 1 && row_stride_ >= cols_ && width_ == cols_) {}

  /// Elements of a buffer for n rows.
  int64_t buffer_size(int64_t n) const { return in_place_ ? 0 : n * width_; }

  /// Rows begin .. begin + n - 1 of a head.
  Matrix<const C> read(int64_t head, int64_t begin, int64_t n, C* buffer) const {
    std::byte* const first = at(head, begin);
    if (in_place_) return {reinterpret_cast<const C*>(first), n, cols_, row_stride_, 1};
    load(first, begin, n, buffer);
    return {buffer, n, cols_, width_, 1};
  }
  /// All rows of a head, transposed: [D, padded(rows)]. square: a buffer for 8 rows.
  Matrix<const C> read_transposed(int64_t head, C* buffer, C* square) const {
    const int64_t columns = padded(rows_);
    for (int64_t i = 0; i < columns; i += 8) {
      const int64_t n = std::clamp<int64_t>(rows_ - i, 0, 8);
      load(at(head, i), i, n, square);
      std::fill(square + n * width_, square + 8 * width_, C(0));
      simd::table<C>().transpose_rows(square, width_, width_, buffer + i, columns);
    }
    return {buffer, cols_, rows_, columns, 1};
  }
  /// Where to compute rows begin .. of a head; write() follows.
  Matrix<C> place(int64_t head, int64_t begin, int64_t n, C* buffer) const {
    if (in_place_) return {reinterpret_cast<C*>(at(head, begin)), n, cols_, row_stride_, 1};
    return {buffer, n, cols_, width_, 1};
  }
  void write(int64_t head, int64_t begin, const Matrix<C>& from) const {
    if (in_place_) return;
    dispatch_floating(tensor_.dtype(), "attention", [&](auto v) {
      using T = decltype(v);
      for (int64_t i = 0; i < from.rows; ++i) {
        T* const row = reinterpret_cast<T*>(at(head, begin + i));
        if constexpr (std::is_same_v<T, bf16>) {
          if (col_stride_ == 1) {
            simd::table<C>().narrow(&from(i, 0), row, cols_);
            continue;
          }
        }
        for (int64_t j = 0; j < cols_; ++j) row[j * col_stride_] = T(compute_cast<T>(from(i, j)));
      }
    });
  }

 private:
  std::byte* at(int64_t head, int64_t row) const {
    const int64_t offset = head / heads_ * tensor_.stride(0) + head % heads_ * tensor_.stride(1) + row * row_stride_;
    return const_cast<std::byte*>(tensor_.raw()) + offset * element_;
  }
  /// n rows from x on, which is row begin, into rows of width_. Rows of one head lie far apart, where no processor
  /// looks ahead by itself, so those a little further on are asked for.
  void load(const std::byte* x, int64_t begin, int64_t n, C* to) const {
    constexpr int64_t kAhead = 8, kLine = 64;
    const int64_t step = row_stride_ * element_;
    dispatch_floating(tensor_.dtype(), "attention", [&](auto v) {
      using T = decltype(v);
      for (int64_t i = 0; i < n; ++i, x += step, to += width_) {
        if (begin + i + kAhead < rows_)
          for (int64_t line = 0; line < cols_ * element_; line += kLine) __builtin_prefetch(x + kAhead * step + line);
        const T* const row = reinterpret_cast<const T*>(x);
        if (std::is_same_v<T, bf16> && col_stride_ == 1)
          simd::table<C>().widen(reinterpret_cast<const bf16*>(row), to, cols_);
        else
          for (int64_t j = 0; j < cols_; ++j) to[j] = C(compute_cast<C>(row[j * col_stride_]));
        std::fill(to + cols_, to + width_, C(0));
      }
    });
  }

  Tensor tensor_;
  int64_t heads_, rows_, cols_, width_, row_stride_, col_stride_, element_;
  bool in_place_;
};

/// Memory of one task, handed out in pieces.
template <class C>
class Scratch {
 public:
  explicit Scratch(int64_t elements) : memory_(Tensor::empty({elements}, dtype_of<C>())), next_(memory_.data<C>()) {}
  C* take(int64_t elements) { return std::exchange(next_, next_ + elements); }

 private:
  Tensor memory_;
  C* next_;
};

struct Problem {
  int64_t batch, heads, queries, keys, dim;
  AttentionOptions options;

  int64_t tile() const { return std::clamp<int64_t>(kTileElements / keys, 1, std::max<int64_t>(queries, 1)); }
  /// How many keys a query sees.
  int64_t visible(int64_t query) const { return options.causal ? std::min(query + 1, keys) : keys; }
  /// fn(begin, n) for consecutive tiles of queries.
  template <class F>
  void for_each_tile(F&& fn) const {
    for (int64_t begin = 0; begin < queries; begin += tile()) fn(begin, std::min(tile(), queries - begin));
  }
  /// fn(head) for the heads of all images, each on one thread.
  template <class F>
  void for_each_head(F&& fn) const {
    parallel_for(batch * heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t head = begin; head < end; ++head) fn(head);
    });
  }
};

Problem check_problem(const Tensor& q, const Tensor& k, const AttentionOptions& options, std::string_view op) {
  const bool fits =
      q.rank() == 4 && k.rank() == 4 && q.size(0) == k.size(0) && q.size(1) == k.size(1) && q.size(3) == k.size(3);
  check<ShapeError>(fits, op, "q is {}, k is {}; needs q [B, H, M, D] and k [B, H, N, D]", q.shape(), k.shape());
  check<ShapeError>(k.size(2) > 0 && k.size(3) > 0, op, "k is {}; needs one key and one element or more", k.shape());
  check<ShapeError>(q.dtype() == k.dtype(), op, "q is {}, k is {}; needs one type", q.dtype(), k.dtype());
  return {q.size(0), q.size(1), q.size(2), k.size(2), q.size(3), options};
}

void check_like(const Tensor& t, const Tensor& like, std::string_view op, std::string_view name,
                std::string_view like_name) {
  check<ShapeError>(t.shape() == like.shape() && t.dtype() == like.dtype(), op, "{} is {} {}, {} is {} {}", name,
                    t.dtype(), t.shape(), like_name, like.dtype(), like.shape());
}

/// [B, M, H * D] as [B, H, M, D].
Tensor split_heads(const Tensor& t, const Problem& p) {
  return t.reshape({p.batch, p.queries, p.heads, p.dim}).transpose(1, 2);
}

/// scores (the products of queries and keys) to weights, for queries begin ...; lse receives a value for each.
template <class C>
void weigh(const Matrix<C>& scores, const Problem& p, int64_t begin, C* lse) {
  for (int64_t i = 0; i < scores.rows; ++i) {
    C* row = &scores(i, 0);
    const int64_t n = p.visible(begin + i);
    lse[i] = simd::table<C>().softmax_scaled(row, C(p.options.scale), n);
    std::fill(row + n, row + p.keys, C(0));
  }
}

template <class C>
void attention_of_type(const Tensor& q, const Tensor& k, const Tensor& v, const Problem& p, Tensor& y, Tensor& lse) {
  const Heads<C> queries(q), keys(k), values(v);
  const Heads<C> result(split_heads(y, p));
  const int64_t tile = p.tile(), dim = padded(p.dim);
  p.for_each_head([&](int64_t head) {
    Scratch<C> scratch((tile + dim) * padded(p.keys) + 8 * dim + queries.buffer_size(tile) + result.buffer_size(tile) +
                       values.buffer_size(p.keys));
    C* const scores = scratch.take(tile * padded(p.keys));
    C* const q_buffer = scratch.take(queries.buffer_size(tile));
    C* const y_buffer = scratch.take(result.buffer_size(tile));
    const auto V = values.read(head, 0, p.keys, scratch.take(values.buffer_size(p.keys)));
    C* const k_buffer = scratch.take(dim * padded(p.keys));
    const auto Kt = keys.read_transposed(head, k_buffer, scratch.take(8 * dim));
    p.for_each_tile([&](int64_t begin, int64_t n) {
      const Matrix<C> S{scores, n, p.keys, padded(p.keys), 1};
      multiply<C>(queries.read(head, begin, n, q_buffer), Kt, S);
      weigh(S, p, begin, lse.data<C>() + head * p.queries + begin);
      const auto Y = result.place(head, begin, n, y_buffer);
      multiply<C>(S, V, Y);
      result.write(head, begin, Y);
    });
  });
}

}  // namespace

AttentionOut attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options) {
  const Problem p = check_problem(q, k, options, "attention");
  check_like(v, k, "attention", "v", "k");
  AttentionOut out{Tensor::empty({p.batch, p.queries, p.heads * p.dim}, q.dtype()),
                   Tensor::empty({p.batch, p.heads, p.queries}, compute_dtype(q.dtype()))};
  dispatch_compute(q.dtype(), "attention", [&](auto c) { attention_of_type<decltype(c)>(q, k, v, p, out.y, out.lse); });
  return out;
}

Tensor attention_weights(const Tensor& q, const Tensor& k, const AttentionOptions& options) {
  const Problem p = check_problem(q, k, options, "attention_weights");
  Tensor weights = Tensor::empty({p.batch, p.heads, p.queries, p.keys}, q.dtype());
  dispatch_compute(q.dtype(), "attention_weights", [&](auto c) {
    using C = decltype(c);
    const Heads<C> queries(q), keys(k);
    const Heads<C> result(weights);
    const int64_t tile = p.tile(), dim = padded(p.dim);
    p.for_each_head([&](int64_t head) {
      Scratch<C> scratch(tile + dim * (padded(p.keys) + 8) + queries.buffer_size(tile) + result.buffer_size(tile));
      C* const lse = scratch.take(tile);
      C* const q_buffer = scratch.take(queries.buffer_size(tile));
      C* const result_buffer = scratch.take(result.buffer_size(tile));
      C* const k_buffer = scratch.take(dim * padded(p.keys));
      const auto Kt = keys.read_transposed(head, k_buffer, scratch.take(8 * dim));
      p.for_each_tile([&](int64_t begin, int64_t n) {
        const auto S = result.place(head, begin, n, result_buffer);
        multiply<C>(queries.read(head, begin, n, q_buffer), Kt, S);
        weigh(S, p, begin, lse);
        result.write(head, begin, S);
      });
    });
  });
  return weights;
}

namespace {

/// weights P from scores and the forward's lse; then dscores from dweights dP: scale P (dP - sum(P dP)), in place.
template <class C>
void weigh_again(const Matrix<C>& scores, const Problem& p, int64_t begin, const C* lse) {
  for (int64_t i = 0; i < scores.rows; ++i) {
    C* row = &scores(i, 0);
    const int64_t n = p.visible(begin + i);
    simd::table<C>().softmax_again(row, C(p.options.scale), lse[i], n);
    std::fill(row + n, row + p.keys, C(0));
  }
}
template <class C>
void scores_gradient(const Matrix<const C>& weights, const Problem& p, int64_t begin, const Matrix<C>& d) {
  for (int64_t i = 0; i < d.rows; ++i) {
    C* row = &d(i, 0);
    const int64_t n = p.visible(begin + i);
    simd::table<C>().softmax_scaled_backward(row, &weights(i, 0), C(p.options.scale), row, n);
    std::fill(row + n, row + p.keys, C(0));
  }
}

/// Y = P V with P = softmax(scale Q K'): dV = P' dY, dP = dY V', dS = scale P (dP - sum(P dP)), dQ = dS K, dK = dS' Q.
template <class C>
void backward_of_type(const Tensor& dy, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& lse,
                      const Problem& p, Tensor& dq, Tensor& dk, Tensor& dv) {
  const Heads<C> queries(q), keys(k), values(v), dresult(split_heads(dy, p));
  const Heads<C> dqueries(dq), dkeys(dk), dvalues(dv);
  const int64_t tile = p.tile(), wide = padded(p.keys), dim = padded(p.dim);
  p.for_each_head([&](int64_t head) {
    Scratch<C> scratch(2 * (tile + dim) * wide + 3 * tile * dim + 3 * p.keys * dim + 8 * dim);
    C* const scores = scratch.take(tile * wide);
    C* const dscores = scratch.take(tile * wide);
    C* const kt_buffer = scratch.take(dim * wide);
    C* const vt_buffer = scratch.take(dim * wide);
    C* const q_buffer = scratch.take(tile * dim);
    C* const dq_buffer = scratch.take(tile * dim);
    C* const dy_buffer = scratch.take(tile * dim);
    C* const square = scratch.take(8 * dim);
    const auto K = keys.read(head, 0, p.keys, scratch.take(p.keys * dim));
    const auto Kt = keys.read_transposed(head, kt_buffer, square), Vt = values.read_transposed(head, vt_buffer, square);
    const auto dK = dkeys.place(head, 0, p.keys, scratch.take(p.keys * dim));
    const auto dV = dvalues.place(head, 0, p.keys, scratch.take(p.keys * dim));
    p.for_each_tile([&](int64_t begin, int64_t n) {
      const Matrix<C> P{scores, n, p.keys, wide, 1}, dS{dscores, n, p.keys, wide, 1};
      const auto Q = queries.read(head, begin, n, q_buffer), dY = dresult.read(head, begin, n, dy_buffer);
      multiply<C>(Q, Kt, P);
      weigh_again(P, p, begin, lse.data<C>() + head * p.queries + begin);
      multiply<C>(P.transposed(), dY, dV, begin > 0);
      multiply<C>(dY, Vt, dS);
      scores_gradient<C>(P, p, begin, dS);
      const auto dQ = dqueries.place(head, begin, n, dq_buffer);
      multiply<C>(dS, K, dQ);
      dqueries.write(head, begin, dQ);
      multiply<C>(dS.transposed(), Q, dK, begin > 0);
    });
    dkeys.write(head, 0, dK);
    dvalues.write(head, 0, dV);
  });
}

}  // namespace

void attention_backward(const Tensor& dy, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOut& out,
                        const AttentionOptions& options, Tensor dq, Tensor dk, Tensor dv) {
  const Problem p = check_problem(q, k, options, "attention_backward");
  check_like(v, k, "attention_backward", "v", "k");
  check_like(dy, out.y, "attention_backward", "dy", "y");
  check<ShapeError>(out.lse.shape() == q.shape().without(-1) && out.lse.is_contiguous(), "attention_backward",
                    "lse is {}, q is {}; needs a dense [B, H, M]", out.lse.shape(), q.shape());
  check<ShapeError>(out.y.shape() == Shape{q.size(0), q.size(2), q.size(1) * q.size(3)}, "attention_backward",
                    "y is {}, q is {}; needs [B, M, H * D]", out.y.shape(), q.shape());
  check_like(dq, q, "attention_backward", "dq", "q");
  check_like(dk, k, "attention_backward", "dk", "k");
  check_like(dv, v, "attention_backward", "dv", "v");
  if (p.queries == 0) {
    dk.zero_();
    dv.zero_();
    return;
  }
  dispatch_compute(q.dtype(), "attention_backward",
                   [&](auto c) { backward_of_type<decltype(c)>(dy, q, k, v, out.lse, p, dq, dk, dv); });
}

}  // namespace vitrail::core
