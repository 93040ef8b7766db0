#include "tests/support/close.h"
#include "vitrail/core/dnnl/stats.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/rng.h"

#include <doctest/doctest.h>

#include <cstring>

namespace vitrail::core {
namespace {

using test::max_difference;
using test::relative_error;

struct Case {
  int64_t batch, heads, queries, keys, dim;
  AttentionOptions options;
};

const Case kCases[] = {
    {1, 1, 1, 1, 1, {.scale = 1}},
    {2, 3, 5, 5, 4, {.scale = 0.5}},
    {2, 3, 5, 7, 4, {.scale = 0.5}},
    {1, 2, 1, 9, 8, {.scale = 0.3}},
    {3, 2, 6, 6, 16, {.scale = 0.25, .causal = true}},
    {1, 2, 4, 7, 3, {.scale = 0.25, .causal = true}},
    {1, 1, 7, 4, 3, {.scale = 0.25, .causal = true}},
    {2, 3, 65, 65, 64, {.scale = 0.125}},
    {1, 1, 600, 600, 8, {.scale = 0.3}},  // several tiles of queries
    {1, 2, 600, 600, 8, {.scale = 0.3, .causal = true}},
    {0, 2, 5, 5, 4, {.scale = 0.5}},
    {2, 2, 0, 5, 4, {.scale = 0.5}},
};

Tensor random(const Shape& shape, uint64_t stream) { return Rng(3, stream).normal(shape, 0, 1, DType::f64); }

struct Inputs {
  Tensor q, k, v, dy;
};

Inputs inputs_of(const Case& c) {
  return {random({c.batch, c.heads, c.queries, c.dim}, 1), random({c.batch, c.heads, c.keys, c.dim}, 2),
          random({c.batch, c.heads, c.keys, c.dim}, 3), random({c.batch, c.queries, c.heads * c.dim}, 4)};
}

/// [B, H, N, D] with the strides of one part of a packed projection [B, N, 3, H, D].
Tensor packed(const Tensor& t, DType dtype) {
  Tensor view =
      zeros({t.size(0), t.size(2), 3, t.size(1), t.size(3)}, dtype).select(2, 1).transpose(1, 2);  // [B, H, N, D]
  return view.copy_(t);
}

/// The definition, one weight at a time.
std::vector<double> weights_by_hand(const Tensor& q, const Tensor& k, const AttentionOptions& options) {
  const auto x = q.to_vector(), w = k.to_vector();
  const int64_t M = q.size(2), N = k.size(2), D = q.size(3);
  std::vector<double> weights(size_t(q.size(0) * q.size(1) * M * N));
  for (int64_t row = 0; row < q.size(0) * q.size(1) * M; ++row) {
    const int64_t head = row / M, visible = options.causal ? std::min(row % M + 1, N) : N;
    double total = 0;
    for (int64_t j = 0; j < visible; ++j) {
      double score = 0;
      for (int64_t d = 0; d < D; ++d) score += x[size_t(row * D + d)] * w[size_t((head * N + j) * D + d)];
      total += weights[size_t(row * N + j)] = std::exp(options.scale * score);
    }
    for (int64_t j = 0; j < visible; ++j) weights[size_t(row * N + j)] /= total;
  }
  return weights;
}

struct Grads {
  Tensor q, k, v;
};

Grads backward(const Inputs& in, const AttentionOut& out, const AttentionOptions& options) {
  Grads d{packed(in.q, in.q.dtype()), packed(in.k, in.k.dtype()), packed(in.v, in.v.dtype())};
  attention_backward(in.dy, in.q, in.k, in.v, out, options, d.q, d.k, d.v);
  return d;
}

}  // namespace

TEST_CASE("attention is softmax(scale q k') v") {
  for (const Case& c : kCases) {
    CAPTURE(c.queries);
    CAPTURE(c.keys);
    const Inputs in = inputs_of(c);
    const Tensor weights =
        tensor(weights_by_hand(in.q, in.k, c.options), {c.batch, c.heads, c.queries, c.keys});  // [B, H, M, N]
    CHECK(max_difference(attention_weights(in.q, in.k, c.options), weights) < 1e-12);
    const Tensor y = matmul(weights, in.v).transpose(1, 2).contiguous().reshape(in.dy.shape());
    const AttentionOut out = attention(in.q, in.k, in.v, c.options);
    CHECK(max_difference(out.y, y) < 1e-12);
    CHECK(out.lse.shape() == Shape{c.batch, c.heads, c.queries});
  }
}

TEST_CASE("the gradients of attention are those of its composition") {
  for (const Case& c : kCases) {
    CAPTURE(c.queries);
    CAPTURE(c.keys);
    const Inputs in = inputs_of(c);
    const Grads d = backward(in, attention(in.q, in.k, in.v, c.options), c.options);
    const Tensor weights = attention_weights(in.q, in.k, c.options);
    const Tensor dy = in.dy.reshape({c.batch, c.queries, c.heads, c.dim}).transpose(1, 2);
    const Tensor dscores = affine(softmax_backward(matmul(dy, in.v, Trans::no, Trans::yes), weights), c.options.scale);
    CHECK(max_difference(d.v, matmul(weights, dy, Trans::yes)) < 1e-12);
    CHECK(max_difference(d.q, matmul(dscores, in.k)) < 1e-12);
    CHECK(max_difference(d.k, matmul(dscores, in.q, Trans::yes)) < 1e-12);
  }
}

TEST_CASE("f32 and bf16 attention on packed views agree with f64") {
  for (const Case& c : kCases)
    for (DType dtype : {DType::f32, DType::bf16}) {
      CAPTURE(c.queries);
      CAPTURE(c.keys);
      CAPTURE(dtype);
      const double tolerance = dtype == DType::f32 ? 5e-6 : 2e-2;
      const Inputs in = inputs_of(c);
      const Inputs low{packed(in.q, dtype), packed(in.k, dtype), packed(in.v, dtype), in.dy.to(dtype)};
      const AttentionOut expected = attention(in.q, in.k, in.v, c.options);
      const AttentionOut out = attention(low.q, low.k, low.v, c.options);
      CHECK(out.y.dtype() == dtype);
      CHECK(out.lse.dtype() == DType::f32);
      CHECK(relative_error(out.y, expected.y) < tolerance);
      CHECK(max_difference(out.lse, expected.lse) < 5 * tolerance);
      CHECK(max_difference(attention_weights(low.q, low.k, c.options), attention_weights(in.q, in.k, c.options)) <
            tolerance);
      const Grads d = backward(low, out, c.options), e = backward(in, expected, c.options);
      double largest = 0;  // the gradient of a single key's weight is zero but for rounding
      for (const Tensor& t : {e.q, e.k, e.v})
        for (double x : t.to_vector()) largest = std::max(largest, std::abs(x));
      CHECK(max_difference(d.q, e.q) <= tolerance * largest);
      CHECK(max_difference(d.k, e.k) <= tolerance * largest);
      CHECK(max_difference(d.v, e.v) <= tolerance * largest);
    }
}

TEST_CASE("large scores do not overflow") {
  const Tensor q = full({1, 1, 3, 4}, 60), k = full({1, 1, 5, 4}, 60);
  const AttentionOut out = attention(q, k, k, {.scale = 1});
  CHECK(out.y.to_vector() == std::vector<double>(12, 60));
  CHECK(out.lse.to_vector()[0] == doctest::Approx(14400 + std::log(5)));
}

TEST_CASE("attention is bit-equal from run to run and builds no primitive again") {
  const Inputs in = inputs_of({2, 3, 65, 65, 64, {}});
  const Inputs low{packed(in.q, DType::f32), packed(in.k, DType::f32), packed(in.v, DType::f32), in.dy.to(DType::f32)};
  const auto run = [&] {
    const AttentionOut out = attention(low.q, low.k, low.v, {.scale = 0.125});
    const Grads d = backward(low, out, {.scale = 0.125});
    return std::vector{out.y, out.lse, d.q.contiguous(), d.k.contiguous(), d.v.contiguous()};
  };
  const auto first = run();
  const int64_t built = dnnl::primitives_built();
  for (int i = 0; i < 5; ++i) {
    const auto again = run();
    for (size_t t = 0; t < first.size(); ++t)
      CHECK(std::memcmp(first[t].raw(), again[t].raw(), size_t(first[t].nbytes())) == 0);
  }
  CHECK(dnnl::primitives_built() == built);
  for (const auto& item : dnnl::implementations()) {
    CAPTURE(item.primitive);
    CHECK(item.name.substr(0, 3) != "ref");
  }
}

TEST_CASE("attention names the shapes it cannot take") {
  using doctest::Contains;
  const Tensor q = zeros({2, 3, 4, 8}), k = zeros({2, 3, 5, 8});
  CHECK_THROWS_WITH_AS(attention(q, zeros({2, 3, 5, 6}), k, {}),
                       Contains("[attention] q is [2, 3, 4, 8], k is [2, 3, 5, 6]"), ShapeError);
  CHECK_THROWS_WITH_AS(attention(q, k, q, {}), Contains("v is f32 [2, 3, 4, 8], k is f32 [2, 3, 5, 8]"), ShapeError);
  CHECK_THROWS_WITH_AS(attention(q, zeros({2, 3, 0, 8}), k, {}), Contains("one key"), ShapeError);
  const AttentionOut out = attention(q, k, k, {});
  CHECK_THROWS_WITH_AS(attention_backward(zeros({2, 4, 8}), q, k, k, out, {}, q, k, k),
                       Contains("dy is f32 [2, 4, 8], y is f32 [2, 4, 24]"), ShapeError);
}

}  // namespace vitrail::core
