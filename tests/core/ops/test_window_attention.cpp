#include "tests/support/close.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/parallel.h"
#include "vitrail/core/rng.h"

#include <doctest/doctest.h>

#include <cmath>

namespace vitrail::core {
namespace {

using test::max_difference;

struct Case {
  int64_t batch, heads, dim;
  Windows windows;
};

const Case kCases[] = {
    {1, 1, 1, {0, {1, 1}, 1}},    {2, 3, 4, {1, {4, 4}, 2}}, {2, 2, 8, {5, {4, 6}, 2}}, {1, 2, 4, {1, {5, 7}, 3}},
    {2, 2, 4, {2, {7, 5}, 4}},    {1, 2, 4, {3, {3, 2}, 7}},  // a window larger than the grid
    {2, 1, 4, {0, {6, 4}, 3}},    {1, 2, 3, {1, {1, 9}, 2}}, {1, 1, 4, {4, {9, 1}, 4}}, {0, 2, 4, {1, {4, 4}, 2}},
    {1, 2, 16, {1, {16, 16}, 7}},  // 224 pixels in patches of 14: windows of 7, 7 and 2
    {3, 4, 32, {1, {28, 30}, 7}},  // several chunks
};

struct Inputs {
  Tensor q, k, v, dy;
};
Inputs inputs_of(const Case& c) {
  const int64_t tokens = c.windows.tokens();
  const auto random = [](const Shape& shape, uint64_t stream) {
    return Rng(3, stream).normal(shape, 0, 1, DType::f64);
  };
  const Shape shape{c.batch, c.heads, tokens, c.dim};
  return {random(shape, 1), random(shape, 2), random(shape, 3), random({c.batch, tokens, c.heads * c.dim}, 4)};
}
/// [B, H, T, D] with the strides of one part of a packed projection [B, T, 3, H, D].
Tensor packed(const Tensor& t, DType dtype) {
  Tensor view = zeros({t.size(0), t.size(2), 3, t.size(1), t.size(3)}, dtype).select(2, 1).transpose(1, 2);
  return view.copy_(t);
}
Inputs packed(const Inputs& in, DType dtype) {
  return {packed(in.q, dtype), packed(in.k, dtype), packed(in.v, dtype), in.dy.to(dtype)};
}

struct Results {
  Tensor y, dq, dk, dv;
  std::vector<Tensor> all() const { return {y, dq, dk, dv}; }
};
constexpr double kScale = 0.4;

Results windowed(const Inputs& in, const Windows& windows) {
  const AttentionOut out = window_attention(in.q, in.k, in.v, kScale, windows);
  Results r{out.y, packed(in.q, in.q.dtype()), packed(in.k, in.k.dtype()), packed(in.v, in.v.dtype())};
  window_attention_backward(in.dy, in.q, in.k, in.v, out, kScale, windows, r.dq, r.dk, r.dv);
  return r;
}
/// Global attention that sees by `mask`.
Results masked(const Inputs& in, const Tensor& mask) {
  const AttentionOptions options{.scale = kScale, .mask = mask};
  const AttentionOut out = attention(in.q, in.k, in.v, options);
  Results r{out.y, in.q.clone(), in.k.clone(), in.v.clone()};
  attention_backward(in.dy, in.q, in.k, in.v, out, options, r.dq, r.dk, r.dv);
  return r;
}

/// Who sees whom, token by token, from the coordinates of the patches.
Tensor mask_by_hand(const Windows& w) {
  const int64_t tokens = w.tokens();
  Tensor mask = zeros({1, 1, tokens, tokens}, DType::u8);
  const auto window = [&](int64_t token) {
    const int64_t patch = token - w.prefix;
    return std::pair{patch / w.grid.width / w.side, patch % w.grid.width / w.side};
  };
  for (int64_t i = 0; i < tokens; ++i)
    for (int64_t j = 0; j < tokens; ++j)
      mask.data<uint8_t>()[i * tokens + j] = i < w.prefix || j < w.prefix || window(i) == window(j);
  return mask;
}

double largest(const Tensor& t) {
  double most = 0;
  for (const double x : t.to_vector()) most = std::max(most, std::abs(x));
  return most;
}

}  // namespace

TEST_CASE("windowed attention is global attention under the mask of its windows, forward and backward") {
  for (const Case& c : kCases) {
    CAPTURE(c.windows.grid.height);
    CAPTURE(c.windows.grid.width);
    CAPTURE(c.windows.side);
    const Tensor mask = mask_by_hand(c.windows);
    CHECK(max_difference(window_mask(c.windows).to(DType::f64), mask.to(DType::f64)) == 0);
    CHECK(double(window_pairs(c.windows)) == sum(mask.to(DType::f64)).item());
    const Inputs in = inputs_of(c);
    const auto expected = masked(in, mask).all(), dense = windowed(in, c.windows).all(),
               views = windowed(packed(in, DType::f64), c.windows).all();
    for (size_t i = 0; i < expected.size(); ++i) {
      CAPTURE(i);
      CHECK(max_difference(dense[i], expected[i]) < 1e-12);
      CHECK(max_difference(views[i], expected[i]) < 1e-12);
    }
  }
}

TEST_CASE("f32 and bf16 windows agree with f64") {
  for (const Case& c : kCases)
    for (const DType dtype : {DType::f32, DType::bf16}) {
      CAPTURE(c.windows.grid.height);
      CAPTURE(c.windows.side);
      CAPTURE(dtype);
      const double tolerance = dtype == DType::f32 ? 5e-6 : 2e-2;
      const Inputs in = inputs_of(c);
      const auto expected = windowed(in, c.windows).all(), low = windowed(packed(in, dtype), c.windows).all();
      double most = 0;
      for (size_t i = 1; i < expected.size(); ++i) most = std::max(most, largest(expected[i]));
      CHECK(max_difference(low[0], expected[0]) <= tolerance * largest(expected[0]));
      for (size_t i = 1; i < expected.size(); ++i) CHECK(max_difference(low[i], expected[i]) <= tolerance * most);
    }
}

TEST_CASE("windowed attention is bit-equal whatever the threads") {
  const Case& c = kCases[std::size(kCases) - 1];
  const Inputs in = packed(inputs_of(c), DType::f32);
  const int threads = num_threads();
  set_num_threads(1);
  const auto one = windowed(in, c.windows).all();
  set_num_threads(3);
  const auto three = windowed(in, c.windows).all();
  set_num_threads(threads);
  for (size_t i = 0; i < one.size(); ++i) CHECK(max_difference(one[i], three[i]) == 0);
}

TEST_CASE("windowed attention needs no more memory than global attention") {
  const Case c{1, 1, 64, {1, {56, 56}, 7}};  // 896 pixels in patches of 16
  const Inputs in = packed(inputs_of(c), DType::f32);
  const int threads = num_threads();
  set_num_threads(1);
  const auto peak_of = [&](const auto& run) {
    const int64_t before = memory::live_bytes();
    memory::reset_peak();
    const Results results = run();
    CHECK(all_finite(results.dk));
    return memory::peak_bytes() - before;
  };
  const int64_t windows = peak_of([&] { return windowed(in, c.windows); });
  const int64_t global = peak_of([&] {
    const AttentionOptions options{.scale = kScale};
    const AttentionOut out = attention(in.q, in.k, in.v, options);
    Results r{out.y, packed(in.q, in.q.dtype()), packed(in.k, in.k.dtype()), packed(in.v, in.v.dtype())};
    attention_backward(in.dy, in.q, in.k, in.v, out, options, r.dq, r.dk, r.dv);
    return r;
  });
  set_num_threads(threads);
  CHECK(windows <= global);
}

TEST_CASE("windowed attention names what does not fit") {
  using doctest::Contains;
  const Tensor q = zeros({1, 2, 17, 4});
  CHECK_THROWS_WITH_AS(window_attention(q, q, q, 1, {2, {4, 4}, 2}),
                       Contains("q is [1, 2, 17, 4]; needs [B, H, 18, D]: 2 tokens and 4 x 4 patches"), ShapeError);
  CHECK_THROWS_WITH_AS(window_attention(q, q, q, 1, {1, {4, 4}, 0}), Contains("windows of side 0"), ShapeError);
  CHECK_THROWS_WITH_AS(window_attention(q, zeros({1, 1, 17, 4}), q, 1, {1, {4, 4}, 2}),
                       Contains("k is f32 [1, 1, 17, 4]"), ShapeError);
  const Tensor columns = zeros({1, 2, 4, 17}).transpose(2, 3);
  CHECK_THROWS_WITH_AS(window_attention(columns, q, q, 1, {1, {4, 4}, 2}), Contains("must be dense"), ShapeError);
}

}  // namespace vitrail::core
