#include "tests/support/close.h"
#include "vitrail/core/dnnl/stats.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/parallel.h"
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
  int64_t group = 1;  // query heads for each key head
  Shape bias = {};    // of rank 0: none
  Shape mask = {};    // of rank 0: none
  Shape key_shape() const { return {batch, heads / group, keys, dim}; }
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
    {2, 6, 5, 7, 4, {.scale = 0.5}, 3},
    {2, 4, 1, 9, 16, {.scale = 0.25, .causal = true, .first_query = 8}, 4},  // a token after a cache of 8
    {1, 4, 3, 9, 8, {.scale = 0.25, .causal = true, .first_query = 6}, 2},
    {1, 2, 6, 6, 4, {.scale = 0.5, .causal = true, .prefix = 4}},
    {1, 2, 5, 7, 4, {.scale = 0.5, .causal = true, .first_query = 1, .prefix = 9}},
    {2, 3, 5, 7, 4, {.scale = 0.5}, 1, {3, 5, 7}},
    {3, 4, 5, 7, 4, {.scale = 0}, 2, {1, 5, 7}},
    {2, 2, 5, 7, 4, {.scale = 0.5}, 1, {}, {2, 2, 5, 7}},
    {2, 2, 5, 7, 4, {.scale = 0.5}, 1, {}, {2, 1, 1, 7}},
    {2, 4, 5, 7, 16, {.scale = 0.5, .causal = true, .first_query = 2, .prefix = 4}, 2, {4, 5, 7}, {1, 4, 5, 7}},
    {1, 2, 600, 600, 8, {.scale = 0.3, .causal = true}, 2, {2, 600, 600}, {1, 1, 600, 600}},
    {0, 2, 5, 5, 4, {.scale = 0.5}, 1, {2, 5, 5}},
    {2, 2, 0, 5, 4, {.scale = 0.5}, 2, {2, 0, 5}},
};

Tensor random(const Shape& shape, uint64_t stream) { return Rng(3, stream).normal(shape, 0, 1, DType::f64); }

struct Inputs {
  Tensor q, k, v, dy;
  AttentionOptions options;
  Tensor bias;
};

Inputs inputs_of(const Case& c) {
  Inputs in{random({c.batch, c.heads, c.queries, c.dim}, 1),
            random(c.key_shape(), 2),
            random(c.key_shape(), 3),
            random({c.batch, c.queries, c.heads * c.dim}, 4),
            c.options,
            {}};
  if (c.bias.rank() > 0) in.bias = random(c.bias, 5);
  if (c.mask.rank() > 0) {
    in.options.mask = Rng(3, 6).bernoulli(c.mask, 0.6, DType::f32).to(DType::u8);
    in.options.mask.select(2, 0).select(0, 0).zero_();  // a query that sees no key
  }
  return in;
}

/// Key heads as query heads read them: [B, H / G, N, D] -> [B, H, N, D].
Tensor repeated(const Tensor& t, int64_t group) {
  const Tensor wide = t.unsqueeze(2).expand({t.size(0), t.size(1), group, t.size(2), t.size(3)});
  return wide.contiguous().reshape({t.size(0), t.size(1) * group, t.size(2), t.size(3)});
}
/// The gradient of repeated().
Tensor summed(const Tensor& t, int64_t group) {
  return sum(t.reshape({t.size(0), t.size(1) / group, group, t.size(2), t.size(3)}), {2});
}

/// [B, H, N, D] with the strides of one part of a packed projection [B, N, 3, H, D].
Tensor packed(const Tensor& t, DType dtype) {
  Tensor view =
      zeros({t.size(0), t.size(2), 3, t.size(1), t.size(3)}, dtype).select(2, 1).transpose(1, 2);  // [B, H, N, D]
  return view.copy_(t);
}

/// The definition, one weight at a time.
std::vector<double> weights_by_hand(const Inputs& in) {
  const AttentionOptions& o = in.options;
  const int64_t B = in.q.size(0), H = in.q.size(1), M = in.q.size(2), N = in.k.size(2), D = in.q.size(3);
  const auto x = in.q.to_vector(), w = repeated(in.k, H / in.k.size(1)).to_vector();
  const auto values = [](const Tensor& t, const Shape& shape) {
    return t.defined() ? t.expand(shape).to_vector() : std::vector<double>();
  };
  const auto bias = values(in.bias, {H, M, N}), mask = values(o.mask, {B, H, M, N});
  std::vector<double> weights(size_t(B * H * M * N));
  for (int64_t row = 0; row < B * H * M; ++row) {
    const int64_t head = row / M, i = row % M;
    double total = 0;
    for (int64_t j = 0; j < N; ++j) {
      const size_t at = size_t(row * N + j);
      const bool future = o.causal && j > o.first_query + i && j >= o.prefix;
      if (future || (!mask.empty() && mask[at] == 0)) continue;
      double score = 0;
      for (int64_t d = 0; d < D; ++d) score += x[size_t(row * D + d)] * w[size_t((head * N + j) * D + d)];
      score *= o.scale;
      if (!bias.empty()) score += bias[size_t((head % H * M + i) * N + j)];
      total += weights[at] = std::exp(score);
    }
    for (int64_t j = 0; j < N && total > 0; ++j) weights[size_t(row * N + j)] /= total;
  }
  return weights;
}

struct Grads {
  Tensor q, k, v, bias;
};

AttentionOut forward(const Inputs& in) { return attention(in.q, in.k, in.v, in.options, in.bias); }

Grads backward(const Inputs& in, const AttentionOut& out) {
  Grads d{packed(in.q, in.q.dtype()), packed(in.k, in.k.dtype()), packed(in.v, in.v.dtype()), {}};
  d.bias = attention_backward(in.dy, in.q, in.k, in.v, out, in.options, d.q, d.k, d.v, in.bias, true);
  return d;
}

}  // namespace

TEST_CASE("attention is softmax(scale q k' + bias) v") {
  for (const Case& c : kCases) {
    CAPTURE(c.queries);
    CAPTURE(c.keys);
    const Inputs in = inputs_of(c);
    const Tensor weights = tensor(weights_by_hand(in), {c.batch, c.heads, c.queries, c.keys});  // [B, H, M, N]
    CHECK(max_difference(attention_weights(in.q, in.k, in.options, in.bias), weights) < 1e-12);
    const Tensor y = matmul(weights, repeated(in.v, c.group)).transpose(1, 2).contiguous().reshape(in.dy.shape());
    const AttentionOut out = forward(in);
    CHECK(max_difference(out.y, y) < 1e-12);
    CHECK(out.lse.shape() == Shape{c.batch, c.heads, c.queries});
  }
}

TEST_CASE("the gradients of attention are those of its composition") {
  for (const Case& c : kCases) {
    CAPTURE(c.queries);
    CAPTURE(c.keys);
    const Inputs in = inputs_of(c);
    const Grads d = backward(in, forward(in));
    const Tensor weights = attention_weights(in.q, in.k, in.options, in.bias);
    const Tensor k = repeated(in.k, c.group), v = repeated(in.v, c.group);
    const Tensor dy = in.dy.reshape({c.batch, c.queries, c.heads, c.dim}).transpose(1, 2);
    const Tensor dterms = softmax_backward(matmul(dy, v, Trans::no, Trans::yes), weights);
    const Tensor dscores = affine(dterms, c.options.scale);
    CHECK(max_difference(d.v, summed(matmul(weights, dy, Trans::yes), c.group)) < 1e-12);
    CHECK(max_difference(d.q, matmul(dscores, k)) < 1e-12);
    CHECK(max_difference(d.k, summed(matmul(dscores, in.q, Trans::yes), c.group)) < 1e-12);
    REQUIRE(d.bias.defined() == in.bias.defined());
    if (in.bias.defined()) CHECK(max_difference(d.bias, sum_to(dterms, in.bias.shape())) < 1e-12);
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
      const Inputs low{packed(in.q, dtype), packed(in.k, dtype), packed(in.v, dtype),
                       in.dy.to(dtype),     in.options,          in.bias.defined() ? in.bias.to(DType::f32) : Tensor()};
      const AttentionOut expected = forward(in), out = forward(low);
      CHECK(out.y.dtype() == dtype);
      CHECK(out.lse.dtype() == DType::f32);
      CHECK(relative_error(out.y, expected.y) < tolerance);
      CHECK(max_difference(out.lse, expected.lse) < 5 * tolerance);
      CHECK(max_difference(attention_weights(low.q, low.k, in.options, low.bias),
                           attention_weights(in.q, in.k, in.options, in.bias)) < tolerance);
      const Grads d = backward(low, out), e = backward(in, expected);
      double largest = 0;  // the gradient of a single key's weight is zero but for rounding
      for (const Tensor& t : {e.q, e.k, e.v})
        for (double x : t.to_vector()) largest = std::max(largest, std::abs(x));
      CHECK(max_difference(d.q, e.q) <= tolerance * largest);
      CHECK(max_difference(d.k, e.k) <= tolerance * largest);
      CHECK(max_difference(d.v, e.v) <= tolerance * largest);
      if (in.bias.defined()) CHECK(max_difference(d.bias, e.bias) <= tolerance * std::max(largest, 1.0));
    }
}

TEST_CASE("tokens one by one after a cache give the numbers of the whole sequence") {
  const Inputs in = inputs_of({1, 4, 9, 9, 8, {.scale = 0.3, .causal = true}, 2});
  const Tensor whole = forward(in).y;
  const Tensor cache = zeros({1, 2, 16, 8}, DType::f64);  // room for more keys than there are
  Tensor keys = cache.clone(), values = cache.clone();
  keys.slice(2, 0, 9).copy_(in.k);
  values.slice(2, 0, 9).copy_(in.v);
  for (int64_t i = 0; i < 9; ++i) {
    const Tensor y = attention(in.q.slice(2, i, i + 1), keys.slice(2, 0, i + 1), values.slice(2, 0, i + 1),
                               {.scale = 0.3, .causal = true, .first_query = i})
                         .y;
    CHECK(max_difference(y, whole.slice(1, i, i + 1)) < 1e-14);
  }
}

TEST_CASE("a query that sees no key gives zeros, and zero gradients") {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    CAPTURE(dtype);
    const Tensor q = ones({1, 1, 2, 4}, dtype), k = ones({1, 1, 3, 4}, dtype);
    AttentionOptions options{.scale = 1, .mask = tensor<uint8_t>({0, 0, 0, 1, 0, 1}, {1, 1, 2, 3})};
    const AttentionOut out = attention(q, k, k, options);
    CHECK(out.y.to_vector() == std::vector<double>{0, 0, 0, 0, 1, 1, 1, 1});
    const Tensor dq = q.clone(), dk = k.clone(), dv = k.clone();
    attention_backward(ones({1, 2, 4}, dtype), q, k, k, out, options, dq, dk, dv);
    for (const Tensor& t : {dq, dk, dv}) CHECK(all_finite(t));
    CHECK(norm(dq.slice(2, 0, 1)) == 0);
    const std::vector<double> expected{0.5, 0.5, 0.5, 0.5, 0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5};
    CHECK(max_difference(dv, tensor(expected, dv.shape())) < 1e-6);
  }
}

TEST_CASE("the gradient of the bias is bit-equal whatever the threads") {
  const Inputs in = inputs_of({8, 3, 20, 20, 8, {.scale = 0.3}, 1, {3, 20, 20}});
  const Inputs low{in.q.to(DType::f32),  in.k.to(DType::f32), in.v.to(DType::f32),
                   in.dy.to(DType::f32), in.options,          in.bias.to(DType::f32)};
  const int threads = num_threads();
  set_num_threads(1);
  const Tensor one = backward(low, forward(low)).bias;
  set_num_threads(3);
  const Tensor three = backward(low, forward(low)).bias;
  set_num_threads(threads);
  CHECK(max_difference(one, three) == 0);
}

TEST_CASE("large scores do not overflow") {
  const Tensor q = full({1, 1, 3, 4}, 60), k = full({1, 1, 5, 4}, 60);
  const AttentionOut out = attention(q, k, k, {.scale = 1});
  CHECK(out.y.to_vector() == std::vector<double>(12, 60));
  CHECK(out.lse.to_vector()[0] == doctest::Approx(14400 + std::log(5)));
}

TEST_CASE("attention is bit-equal from run to run and builds no primitive again") {
  const Inputs in = inputs_of({2, 3, 65, 65, 64, {.scale = 0.125}});
  const Inputs low{packed(in.q, DType::f32),
                   packed(in.k, DType::f32),
                   packed(in.v, DType::f32),
                   in.dy.to(DType::f32),
                   in.options,
                   {}};
  const auto run = [&] {
    const AttentionOut out = forward(low);
    const Grads d = backward(low, out);
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
  const Tensor two = zeros({2, 2, 5, 8});
  CHECK_THROWS_WITH_AS(attention(q, two, two, {}), Contains("k is [2, 2, 5, 8]"), ShapeError);
  CHECK_THROWS_WITH_AS(attention(q, k, k, {.causal = true, .first_query = -1}), Contains("first_query is -1"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(attention(q, k, k, {.mask = zeros({2, 1, 4, 4}, DType::u8)}),
                       Contains("mask is u8 [2, 1, 4, 4]; needs u8 [2 or 1, 3 or 1, 4 or 1, 5]"), ShapeError);
  CHECK_THROWS_WITH_AS(attention(q, k, k, {.mask = zeros({1, 1, 4, 5})}), Contains("mask is f32"), ShapeError);
  CHECK_THROWS_WITH_AS(attention(q, k, k, {}, zeros({2, 4, 5})),
                       Contains("bias is f32 [2, 4, 5]; needs f32 [3 or 1, 4, 5]"), ShapeError);
  CHECK_THROWS_WITH_AS(attention(q, k, k, {}, zeros({3, 4, 5}, DType::f64)), Contains("bias is f64"), ShapeError);
}

}  // namespace vitrail::core
