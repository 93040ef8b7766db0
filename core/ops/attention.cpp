#include "vitrail/core/ops/attention.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops/attention_heads.h"
#include "vitrail/core/ops/reduce.h"

#include <limits>

namespace vitrail::core {
namespace {

/// Scores of a head that live at once, about 1 MiB: they stay in the second-level cache between the products.
constexpr int64_t kTileElements = 1 << 18;

/// fn(F()) for the type of the factors: bf16 only where the processor multiplies it.
template <class Fn>
decltype(auto) dispatch_factor(DType dtype, std::string_view op, Fn&& fn) {
  if (dtype == DType::bf16 && kernels::gemm<bf16>()) return fn(bf16());
  return dispatch_compute(dtype, op, fn);
}

/// One call: H query heads in groups of H / kv_heads, each group with one key head.
struct Problem {
  int64_t batch, heads, kv_heads, queries, keys, dim;
  AttentionOptions options;  // with a dense mask
  Tensor bias;               // dense, or undefined

  int64_t tile() const { return std::clamp<int64_t>(kTileElements / keys, 1, std::max<int64_t>(queries, 1)); }
  int64_t group() const { return heads / kv_heads; }
  /// A query sees keys 0 .. visible - 1 of those that the mask allows.
  int64_t visible(int64_t query) const {
    if (!options.causal) return keys;
    return std::min(std::max(options.first_query + query + 1, options.prefix), keys);
  }
  bool has_terms() const { return bias.defined() || options.mask.defined(); }
  /// fn(begin, n) for consecutive tiles of queries.
  template <class F>
  void for_each_tile(F&& fn) const {
    for (int64_t begin = 0; begin < queries; begin += tile()) fn(begin, std::min(tile(), queries - begin));
  }
  /// Calls fn(kv, scratch) for all key heads kv = image * kv_heads + head, spread over the threads. With by_head, one
  /// thread takes all images of a head, in order. The scratch memory of all threads is allocated at once, so peak
  /// memory does not depend on timing.
  template <class F>
  void for_each_key_head(int64_t scratch_bytes, F&& fn, bool by_head = false) const {
    const int64_t count = by_head ? kv_heads : batch * kv_heads, tasks = std::min<int64_t>(count, num_threads());
    const Storage memory(tasks * scratch_bytes);
    parallel_for(tasks, 1, [&](int64_t task, int64_t) {
      for (int64_t kv = count * task / tasks; kv < count * (task + 1) / tasks; ++kv)
        for (int64_t i = kv; i < batch * kv_heads; i += by_head ? kv_heads : batch * kv_heads)
          fn(i, Scratch(memory.data() + task * scratch_bytes));
    });
  }
};

void check_terms(const Problem& p, DType dtype, std::string_view op) {
  const AttentionOptions& o = p.options;
  check<ShapeError>(o.first_query >= 0 && o.prefix >= 0, op, "first_query is {}, prefix is {}; neither is negative",
                    o.first_query, o.prefix);
  const auto fits = [](int64_t size, int64_t wanted) { return size == 1 || size == wanted; };
  if (const Tensor& m = o.mask; m.defined())
    check<ShapeError>(m.dtype() == DType::u8 && m.rank() == 4 && fits(m.size(0), p.batch) && fits(m.size(1), p.heads) &&
                          fits(m.size(2), p.queries) && m.size(3) == p.keys,
                      op, "mask is {} {}; needs u8 [{} or 1, {} or 1, {} or 1, {}]", m.dtype(), m.shape(), p.batch,
                      p.heads, p.queries, p.keys);
  if (const Tensor& b = p.bias; b.defined())
    check<ShapeError>(b.dtype() == compute_dtype(dtype) && b.rank() == 3 && fits(b.size(0), p.heads) &&
                          b.size(1) == p.queries && b.size(2) == p.keys,
                      op, "bias is {} {}; needs {} [{} or 1, {}, {}]", b.dtype(), b.shape(), compute_dtype(dtype),
                      p.heads, p.queries, p.keys);
}

Problem check_problem(const Tensor& q, const Tensor& k, const AttentionOptions& options, const Tensor& bias,
                      std::string_view op) {
  const bool fits = q.rank() == 4 && k.rank() == 4 && q.size(0) == k.size(0) && k.size(1) > 0 &&
                    q.size(1) % k.size(1) == 0 && q.size(3) == k.size(3);
  check<ShapeError>(fits, op, "q is {}, k is {}; needs q [B, H, M, D] and k [B, H, N, D], or fewer key heads in groups",
                    q.shape(), k.shape());
  check<ShapeError>(k.size(2) > 0 && k.size(3) > 0, op, "k is {}; needs one key and one element or more", k.shape());
  check<ShapeError>(q.dtype() == k.dtype(), op, "q is {}, k is {}; needs one type", q.dtype(), k.dtype());
  Problem p{q.size(0), q.size(1), k.size(1), q.size(2), k.size(2), q.size(3), options, bias};
  check_terms(p, q.dtype(), op);
  if (bias.defined()) p.bias = bias.contiguous();
  if (options.mask.defined()) p.options.mask = options.mask.contiguous();
  return p;
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

/// A tile of scores: n queries by all keys, in the compute type and in the factor type. If the types are equal, both
/// share memory.
template <class F>
struct Scores {
  using C = compute_t<F>;
  static constexpr bool kShared = std::is_same_v<F, C>;

  static int64_t row_of(int64_t keys) { return std::max(padded(keys), padded_terms<F>(keys)); }
  static int64_t bytes(const Problem& p) {
    const int64_t size = p.tile() * row_of(p.keys);
    return Scratch::bytes_of<C>(size) + (kShared ? 0 : Scratch::bytes_of<F>(size));
  }
  Scores(const Problem& p, Scratch& scratch) : keys(p.keys), width(row_of(p.keys)) {
    computed = scratch.take<C>(p.tile() * width);
    if constexpr (kShared)
      factor = computed;
    else
      factor = scratch.take<F>(p.tile() * width);
  }

  C* row(int64_t i) const { return computed + i * width; }
  Matrix<C> matrix(int64_t n) const { return {computed, n, keys, width, 1}; }
  /// Where products go: whole vectors, which end in zeros.
  Matrix<C> target(int64_t n) const { return {computed, n, padded(keys), width, 1}; }
  Matrix<const F> factors(int64_t n) const { return {factor, n, keys, width, 1}; }
  /// The zeros behind the keys fill the steps of a packed factor.
  Left<F> left() const { return {factor, width, kernels::kGemmStep<F>, kernels::gemm<F>()->steps(keys)}; }
  /// The first `visible` elements of row i, filled up to whole vectors with `rest`: how many these are.
  int64_t fill(int64_t i, int64_t visible, C rest) const {
    std::fill(row(i) + visible, row(i) + padded(visible), rest);
    return padded(visible);
  }
  /// Ends the computation of row i: multiplies it by `by`, clears the elements from `visible` on and converts the row
  /// to the factor type.
  void finish(int64_t i, int64_t visible, C by = 1) const {
    std::fill(row(i) + visible, row(i) + width, C(0));
    if constexpr (!kShared)
      kernels::table<C>().narrow(row(i), by, factor + i * width, width);
    else if (by != 1)
      kernels::table<C>().affine(row(i), by, C(0), row(i), visible);
  }

  int64_t keys, width;
  C* computed;
  F* factor;
};

/// Scales the scores of queries begin ... of a head, adds the bias and hides masked keys. Without a bias or mask it
/// leaves the scores alone. Returns the scale that the caller must still apply.
template <class F>
compute_t<F> add_terms(const Scores<F>& scores, int64_t n, const Problem& p, int64_t head, int64_t begin) {
  using C = compute_t<F>;
  if (!p.has_terms()) return C(p.options.scale);
  const Tensor& mask = p.options.mask;
  for (int64_t i = 0; i < n; ++i) {
    C* const row = scores.row(i);
    kernels::table<C>().affine(row, C(p.options.scale), C(0), row, p.keys);
    if (p.bias.defined()) {
      const int64_t h = p.bias.size(0) == 1 ? 0 : head % p.heads;
      const C* const bias = p.bias.template data<C>() + (h * p.queries + begin + i) * p.keys;
      for (int64_t j = 0; j < p.keys; ++j) row[j] += bias[j];
    }
    if (mask.defined()) {
      const auto at = [&](int axis, int64_t index) { return mask.size(axis) == 1 ? 0 : index * mask.stride(axis); };
      const uint8_t* const seen =
          mask.data<uint8_t>() + at(0, head / p.heads) + at(1, head % p.heads) + at(2, begin + i);
      for (int64_t j = 0; j < p.keys; ++j) row[j] = seen[j] ? row[j] : -C(__builtin_inf());
    }
  }
  return C(1);
}

/// Turns the scores of queries begin ... of a head into attention weights. Writes one value for each query to lse;
/// totals is a buffer of the same size.
template <class F>
void weigh(const Scores<F>& scores, int64_t n, const Problem& p, int64_t head, int64_t begin, compute_t<F>* lse,
           compute_t<F>* totals) {
  using C = compute_t<F>;
  const kernels::Table<C>& table = kernels::table<C>();
  const C scale = add_terms(scores, n, p, head, begin);
  // Hidden elements weigh e^-inf = 0.
  const auto length = [&](int64_t i) {
    const int64_t visible = p.visible(begin + i);
    return scale > 0 ? scores.fill(i, visible, -std::numeric_limits<C>::infinity()) : visible;
  };
  for (int64_t i = 0; i < n; ++i) lse[i] = table.scaled_max(scores.row(i), scale, length(i));
  // Without a visible key, all weights of a row are 0. A max reduction may start from lowest() instead of -inf.
  if (p.options.mask.defined())
    for (int64_t i = 0; i < n; ++i) lse[i] = lse[i] <= std::numeric_limits<C>::lowest() ? C(0) : lse[i];
  for (int64_t i = 0; i < n; ++i) totals[i] = table.scaled_exp(scores.row(i), scale, lse[i], length(i));
  if (p.options.mask.defined())
    for (int64_t i = 0; i < n; ++i) totals[i] = totals[i] == 0 ? C(1) : totals[i];
  for (int64_t i = 0; i < n; ++i) scores.finish(i, p.visible(begin + i), 1 / totals[i]);
  table.log(totals, totals, n);
  for (int64_t i = 0; i < n; ++i) lse[i] += totals[i];
}

template <class F>
void attention_of_type(const Tensor& q, const Tensor& k, const Tensor& v, const Problem& p, Tensor& y, Tensor& lse) {
  using C = compute_t<F>;
  const Heads<F> queries(q), keys(k), values(v);
  const Heads<F> result(split_heads(y, p));
  const int64_t tile = p.tile(), dim = padded(p.dim);
  const int64_t bytes = Scores<F>::bytes(p) + Scratch::bytes_of<F>(packed_size<F>(p.dim, p.keys)) +
                        Scratch::bytes_of<F>(packed_size<F>(p.keys, p.dim)) + Scratch::bytes_of<F>(p.keys * dim) +
                        Scratch::bytes_of<F>(tile * dim) + Scratch::bytes_of<C>(tile * dim) +
                        Scratch::bytes_of<C>(tile);
  p.for_each_key_head(bytes, [&](int64_t kv, Scratch scratch) {
    keys.prefetch(kv + 1);
    values.prefetch(kv + 1);
    const Scores<F> scores(p, scratch);
    F* const buffer = scratch.take<F>(p.keys * dim);
    F* const q_buffer = scratch.take<F>(tile * dim);
    C* const y_buffer = scratch.take<C>(tile * dim);
    C* const totals = scratch.take<C>(tile);
    const F* const Kt =
        pack(keys.read(kv, 0, p.keys, buffer), Trans::yes, scratch.take<F>(packed_size<F>(p.dim, p.keys)));
    const F* const V =
        pack(values.read(kv, 0, p.keys, buffer), Trans::no, scratch.take<F>(packed_size<F>(p.keys, p.dim)));
    for (int64_t head = kv * p.group(); head < (kv + 1) * p.group(); ++head) {
      queries.prefetch(head + 1);
      p.for_each_tile([&](int64_t begin, int64_t n) {
        multiply(left(queries.read(head, begin, n, q_buffer)), Kt, scores.target(n));
        weigh(scores, n, p, head, begin, lse.data<C>() + head * p.queries + begin, totals);
        result.compute(head, begin, n, y_buffer, [&](const auto& to) { multiply(scores.left(), V, to); });
      });
    }
  });
}

}  // namespace

AttentionOut attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options,
                       const Tensor& bias) {
  const Problem p = check_problem(q, k, options, bias, "attention");
  check_like(v, k, "attention", "v", "k");
  AttentionOut out{Tensor::empty({p.batch, p.queries, p.heads * p.dim}, q.dtype()),
                   Tensor::empty({p.batch, p.heads, p.queries}, compute_dtype(q.dtype()))};
  dispatch_factor(q.dtype(), "attention", [&](auto f) { attention_of_type<decltype(f)>(q, k, v, p, out.y, out.lse); });
  return out;
}

Tensor attention_weights(const Tensor& q, const Tensor& k, const AttentionOptions& options, const Tensor& bias) {
  const Problem p = check_problem(q, k, options, bias, "attention_weights");
  Tensor weights = Tensor::empty({p.batch, p.heads, p.queries, p.keys}, q.dtype());
  dispatch_compute(q.dtype(), "attention_weights", [&](auto f) {
    using F = decltype(f);
    using C = compute_t<F>;
    const Heads<F> queries(q), keys(k);
    const Heads<F> result(weights);
    const int64_t tile = p.tile(), dim = padded(p.dim);
    const int64_t bytes = Scores<F>::bytes(p) + Scratch::bytes_of<F>(packed_size<F>(p.dim, p.keys)) +
                          Scratch::bytes_of<F>(p.keys * dim) + Scratch::bytes_of<F>(tile * dim) +
                          2 * Scratch::bytes_of<C>(tile);
    p.for_each_key_head(bytes, [&](int64_t kv, Scratch scratch) {
      const Scores<F> scores(p, scratch);
      F* const q_buffer = scratch.take<F>(tile * dim);
      C* const lse = scratch.take<C>(tile);
      C* const totals = scratch.take<C>(tile);
      const auto K = keys.read(kv, 0, p.keys, scratch.take<F>(p.keys * dim));
      const F* const Kt = pack(K, Trans::yes, scratch.take<F>(packed_size<F>(p.dim, p.keys)));
      for (int64_t head = kv * p.group(); head < (kv + 1) * p.group(); ++head)
        p.for_each_tile([&](int64_t begin, int64_t n) {
          multiply(left(queries.read(head, begin, n, q_buffer)), Kt, scores.target(n));
          weigh(scores, n, p, head, begin, lse, totals);
          result.write(head, begin, scores.matrix(n));
        });
    });
  });
  return weights;
}

namespace {

/// Recomputes the weights P from the scores and the forward's lse.
template <class F>
void weigh_again(const Scores<F>& scores, int64_t n, const Problem& p, int64_t head, int64_t begin,
                 const compute_t<F>* lse) {
  const compute_t<F> scale = add_terms(scores, n, p, head, begin);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t visible = p.visible(begin + i);
    kernels::table<compute_t<F>>().softmax_again(scores.row(i), scale, lse[i], scores.fill(i, visible, 0));
    scores.finish(i, visible);
  }
}
/// Turns d from the gradient of the weights, dP, into the gradient of the scores, scale P (dP - sum(P dP)), in place.
/// Adds to dbias, the rows of queries begin ... of the bias's gradient, unless it is null.
template <class F>
void scores_gradient(const Scores<F>& weights, int64_t n, const Problem& p, int64_t begin, const Scores<F>& d,
                     compute_t<F>* dbias) {
  using C = compute_t<F>;
  const kernels::Table<C>& table = kernels::table<C>();
  for (int64_t i = 0; i < n; ++i) {
    C* const row = d.row(i);
    const int64_t visible = p.visible(begin + i);
    const C scale = C(p.options.scale);
    table.softmax_scaled_backward(row, weights.row(i), dbias ? C(1) : scale, row, d.fill(i, visible, 0));
    if (dbias) {
      for (int64_t j = 0; j < visible; ++j) dbias[i * p.keys + j] += row[j];
      table.affine(row, scale, C(0), row, visible);
    }
    d.finish(i, visible);
  }
}

/// Y = P V with P = softmax(scale Q K' + bias): dV = P' dY, dP = dY V', dS = scale P (dP - sum(P dP)), dQ = dS K,
/// dK = dS' Q; a group of heads adds up dV and dK. dbias: [H, M, N], added to, or undefined.
template <class F>
void backward_of_type(const Tensor& dy, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& lse,
                      const Problem& p, Tensor& dq, Tensor& dk, Tensor& dv, Tensor& dbias) {
  using C = compute_t<F>;
  const Heads<F> queries(q), keys(k), values(v), dresult(split_heads(dy, p));
  const Heads<F> dqueries(dq), dkeys(dk), dvalues(dv);
  const int64_t tile = p.tile(), wide = padded(p.keys), dim = padded(p.dim);
  const int64_t by_keys = packed_size<F>(p.dim, p.keys), by_dim = packed_size<F>(p.keys, p.dim);
  const int64_t bytes = 2 * Scores<F>::bytes(p) + 2 * Scratch::bytes_of<F>(by_keys) + Scratch::bytes_of<F>(by_dim) +
                        Scratch::bytes_of<F>(packed_size<F>(tile, p.dim)) +
                        Scratch::bytes_of<F>(padded_terms<F>(tile) * wide) + Scratch::bytes_of<F>(p.keys * dim) +
                        2 * Scratch::bytes_of<F>(tile * dim) + Scratch::bytes_of<C>(tile * dim) +
                        2 * Scratch::bytes_of<C>(p.keys * dim);
  const auto of_key_head = [&](int64_t kv, Scratch scratch) {
    keys.prefetch(kv + 1);
    values.prefetch(kv + 1);
    const Scores<F> P(p, scratch), dS(p, scratch);
    F* const buffer = scratch.take<F>(p.keys * dim);
    F* const q_buffer = scratch.take<F>(tile * dim);
    F* const dy_buffer = scratch.take<F>(tile * dim);
    F* const right = scratch.take<F>(packed_size<F>(tile, p.dim));
    F* const transposed = scratch.take<F>(padded_terms<F>(tile) * wide);
    C* const dq_buffer = scratch.take<C>(tile * dim);
    const F* const Vt = pack(values.read(kv, 0, p.keys, buffer), Trans::yes, scratch.take<F>(by_keys));
    const auto key_rows = keys.read(kv, 0, p.keys, buffer);
    const F* const Kt = pack(key_rows, Trans::yes, scratch.take<F>(by_keys));
    const F* const K = pack(key_rows, Trans::no, scratch.take<F>(by_dim));
    const Matrix<C> dK{scratch.take<C>(p.keys * dim), p.keys, p.dim, dim, 1};
    const Matrix<C> dV{scratch.take<C>(p.keys * dim), p.keys, p.dim, dim, 1};
    bool add = false;
    for (int64_t head = kv * p.group(); head < (kv + 1) * p.group(); ++head) {
      queries.prefetch(head + 1);
      dresult.prefetch(head + 1);
      p.for_each_tile([&](int64_t begin, int64_t n) {
        const auto Q = queries.read(head, begin, n, q_buffer), dY = dresult.read(head, begin, n, dy_buffer);
        multiply(left(Q), Kt, P.target(n));
        weigh_again(P, n, p, head, begin, lse.data<C>() + head * p.queries + begin);
        multiply(left_transposed(P.factors(n), transposed), pack(dY, Trans::no, right), dV, add);
        multiply(left(dY), Vt, dS.target(n));
        const int64_t row = head % p.heads * p.queries + begin;
        scores_gradient(P, n, p, begin, dS, dbias.defined() ? dbias.data<C>() + row * p.keys : nullptr);
        dqueries.compute(head, begin, n, dq_buffer, [&](const auto& to) { multiply(dS.left(), K, to); });
        multiply(left_transposed(dS.factors(n), transposed), pack(Q, Trans::no, right), dK, add);
        add = true;
      });
    }
    dkeys.write(kv, 0, dK);
    dvalues.write(kv, 0, dV);
  };
  p.for_each_key_head(bytes, of_key_head, /*by_head=*/dbias.defined());  // images add to dbias in order
}

}  // namespace

Tensor attention_backward(const Tensor& dy, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOut& out,
                          const AttentionOptions& options, Tensor dq, Tensor dk, Tensor dv, const Tensor& bias,
                          bool wants_bias) {
  const Problem p = check_problem(q, k, options, bias, "attention_backward");
  check_like(v, k, "attention_backward", "v", "k");
  check_like(dy, out.y, "attention_backward", "dy", "y");
  check<ShapeError>(out.lse.shape() == q.shape().without(-1) && out.lse.is_contiguous(), "attention_backward",
                    "lse is {}, q is {}; needs a dense [B, H, M]", out.lse.shape(), q.shape());
  check<ShapeError>(out.y.shape() == Shape{q.size(0), q.size(2), q.size(1) * q.size(3)}, "attention_backward",
                    "y is {}, q is {}; needs [B, M, H * D]", out.y.shape(), q.shape());
  check_like(dq, q, "attention_backward", "dq", "q");
  check_like(dk, k, "attention_backward", "dk", "k");
  check_like(dv, v, "attention_backward", "dv", "v");
  Tensor dbias;
  if (wants_bias && bias.defined()) dbias = zeros({p.heads, p.queries, p.keys}, bias.dtype());
  if (p.queries == 0) {
    dk.zero_();
    dv.zero_();
  } else {
    dispatch_factor(q.dtype(), "attention_backward",
                    [&](auto f) { backward_of_type<decltype(f)>(dy, q, k, v, out.lse, p, dq, dk, dv, dbias); });
  }
  return dbias.defined() ? sum_to(dbias, bias.shape()) : dbias;
}

}  // namespace vitrail::core
