#include "tests/support/close.h"
#include "vitrail/autograd/gradcheck.h"
#include "vitrail/autograd/ops.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

namespace vitrail::ag {
namespace {

using Shapes = std::vector<Shape>;

/// One differentiable op: awkward shapes, a rule for random shapes, and the function to check. Each new op adds a row.
struct GradCase {
  std::string name;
  std::vector<Shapes> fixed;
  std::function<Shapes(Rng&)> random;
  std::function<Var(const Vars&)> fn;
  double eps = 1e-6;  // step of the differences; larger for linear functions that round
};

int64_t dim(Rng& rng, int64_t most = 5) { return 1 + rng.below(most); }

/// A shape of rank 0 to 4.
Shape any(Rng& rng) {
  Shape shape;
  for (int64_t i = rng.below(5); i > 0; --i) shape = shape.insert(0, dim(rng, 4));
  return shape;
}

/// A shape of rank 1 to 4, for ops on the last axis.
Shape rows(Rng& rng) { return any(rng).insert(0, dim(rng, 7)); }

/// Two shapes that broadcast: axes of b are sometimes 1, sometimes gone.
Shapes broadcasting(Rng& rng) {
  const Shape a = any(rng);
  Shape b = a, c = a;
  for (int i = 0; i < a.rank(); ++i) {
    if (rng.bernoulli(0.3))
      b = b.with(i, 1);
    else if (rng.bernoulli(0.3))
      c = c.with(i, 1);
  }
  if (b.rank() > 0 && rng.bernoulli(0.3)) b = b.without(0);
  return rng.bernoulli(0.5) ? Shapes{b, c} : Shapes{c, b};
}

Shapes one(Rng& rng) { return {any(rng)}; }
Shapes one_row(Rng& rng) { return {rows(rng)}; }

/// A shape of rank 2 to 4 whose first axis has 2 elements or more.
Shapes some_rows(Rng& rng) {
  Shape shape{1 + dim(rng, 4), dim(rng)};
  for (int64_t i = rng.below(3); i > 0; --i) shape = shape.insert(1, dim(rng, 3));
  return {shape};
}

/// Labels 0..classes-1 that follow from the position only.
Tensor some_ids(const Shape& shape, int64_t classes) {
  Tensor ids = arange(shape.numel()).reshape(shape);
  for (int64_t& id : ids.span<int64_t>()) id = (id * 7 + 3) % classes;
  return ids;
}

Tensor some_mask(const Shape& shape) {
  Tensor mask = zeros(shape, DType::u8);
  auto values = mask.span<uint8_t>();
  for (size_t i = 0; i < values.size(); ++i) values[i] = i % 3 == 0;
  return mask;
}

Tensor soft_target(const Shape& shape) { return core::softmax(Rng(5, "target").normal(shape, 0, 1, DType::f64)); }

const std::vector<Shapes> kElementwise{{{}}, {{0}}, {{1}}, {{2, 0, 3}}, {{1, 1, 1}}, {{17}}, {{2, 1, 3, 1, 2, 2}}};
const std::vector<Shapes> kRows{{{1}}, {{0, 3}}, {{1, 1}}, {{3, 17}}, {{2, 1, 1, 2, 5}}};
const std::vector<Shapes> kBroadcast{{{2, 3}, {3}},    {{3}, {2, 3}},       {{0, 3}, {3}}, {{}, {2, 2}},
                                     {{2, 1}, {1, 3}}, {{4, 1, 2}, {3, 1}}, {{1}, {1}},    {{2, 3}, {2, 3}}};

const std::vector<GradCase>& cases() {
  static const std::vector<GradCase> all{
      {"add", kBroadcast, broadcasting, [](const Vars& v) { return v[0] + v[1]; }},
      {"sub", kBroadcast, broadcasting, [](const Vars& v) { return v[0] - v[1]; }},
      {"mul", kBroadcast, broadcasting, [](const Vars& v) { return v[0] * v[1]; }},
      {"div", kBroadcast, broadcasting, [](const Vars& v) { return v[0] / (v[1] * v[1] + 0.5); }},
      {"div, a scalar on either side", kElementwise, one,
       [](const Vars& v) { return v[0] / 3.0 + 2.0 / (v[0] * v[0] + 0.5); }},
      {"scalars on the left", kElementwise, one,
       [](const Vars& v) { return (1.0 - v[0]) * (0.5 * v[0]) + (2.0 + v[0]); }},
      {"in place", kElementwise, one,
       [](const Vars& v) {
         Var y = v[0];
         y *= v[0];
         y += 1.5;
         y -= v[0];
         y /= 3.0;
         return y;
       }},
      {"maximum", kBroadcast, broadcasting, [](const Vars& v) { return maximum(v[0], v[1]); }},
      {"minimum", kBroadcast, broadcasting, [](const Vars& v) { return minimum(v[0], v[1]); }},
      {"masked_fill", kElementwise, one,
       [](const Vars& v) { return masked_fill(v[0], some_mask(v[0].shape()), -2) * v[0]; }},
      {"used twice", kElementwise, one, [](const Vars& v) { return v[0] * v[0] + v[0]; }},
      {"affine", kElementwise, one, [](const Vars& v) { return affine(v[0], -2.5, 0.75); }},
      {"where", kBroadcast, broadcasting,
       [](const Vars& v) { return where(some_mask(broadcast(v[0].shape(), v[1].shape())), v[0], v[1]); }},
      {"cast", kElementwise, one, [](const Vars& v) { return cast(cast(v[0], DType::f32), DType::f64) * 2.0; }, 0.25},
      {"exp", kElementwise, one, [](const Vars& v) { return exp(v[0]); }},
      {"log", kElementwise, one, [](const Vars& v) { return log(v[0] * v[0] + 0.5); }},
      {"sqrt", kElementwise, one, [](const Vars& v) { return sqrt(v[0] * v[0] + 0.5); }},
      {"tanh", kElementwise, one, [](const Vars& v) { return tanh(v[0]); }},
      {"sigmoid", kElementwise, one, [](const Vars& v) { return sigmoid(v[0]); }},
      {"abs", kElementwise, one, [](const Vars& v) { return abs(v[0]); }},
      {"square", kElementwise, one, [](const Vars& v) { return square(v[0]); }},
      {"rsqrt", kElementwise, one, [](const Vars& v) { return rsqrt(v[0] * v[0] + 0.5); }},
      {"pow", kElementwise, one,
       [](const Vars& v) { return pow(v[0], 3) + pow(v[0], 2) + pow(v[0], 0) + pow(v[0] * v[0] + 0.5, -1.5); }},
      {"erf", kElementwise, one, [](const Vars& v) { return erf(v[0]); }},
      {"sin", kElementwise, one, [](const Vars& v) { return sin(v[0] * 3.0); }},
      {"cos", kElementwise, one, [](const Vars& v) { return cos(v[0] * 3.0); }},
      {"clamp", kElementwise, one, [](const Vars& v) { return clamp(v[0], -0.5, 0.75); }},
      {"leaky_relu", kElementwise, one, [](const Vars& v) { return leaky_relu(v[0]) + leaky_relu(v[0], 0.2); }},
      {"softplus", kElementwise, one, [](const Vars& v) { return softplus(v[0] * 5.0); }},
      {"relu", kElementwise, one, [](const Vars& v) { return relu(v[0]); }},
      {"silu", kElementwise, one, [](const Vars& v) { return silu(v[0]); }},
      {"gelu, erf", kElementwise, one, [](const Vars& v) { return gelu(v[0] * 2.0); }},
      {"gelu, tanh", kElementwise, one, [](const Vars& v) { return gelu(v[0] * 2.0, Gelu::tanh); }},
      {"gelu, quick", kElementwise, one, [](const Vars& v) { return gelu(v[0] * 2.0, Gelu::quick); }},
      {"swiglu",
       {{{2}}, {{0, 4}}, {{3, 34}}},
       [](Rng& rng) {
         return Shapes{any(rng).insert(0, 1), {dim(rng), 2 * dim(rng)}};
       },
       [](const Vars& v) { return swiglu(v.back()); }},
      {"dropout", kElementwise, one,
       [](const Vars& v) {
         const RandomScope random(3, 1);
         return dropout(v[0], 0.4);
       }},
      {"drop_path", kRows, one_row,
       [](const Vars& v) {
         const RandomScope random(3, 2);
         return drop_path(v[0], 0.4);
       }},

      {"sum", {{{0, 3}}, {{1}}, {{}}, {{10007}}}, one, [](const Vars& v) { return sum(v[0]); }},
      {"sum, axis", kRows, one_row, [](const Vars& v) { return sum(v[0], {-1}, true) * v[0]; }},
      {"mean",
       {{{1}}, {{2, 3}}},
       [](Rng& rng) {
         return Shapes{{dim(rng), dim(rng), dim(rng)}};
       },
       [](const Vars& v) { return mean(v[0], {0}); }},
      {"mean, all", {{{1}}, {{5, 1, 3}}}, one, [](const Vars& v) { return mean(v[0]); }},
      {"var", {{{2}}, {{2, 3}}}, some_rows, [](const Vars& v) { return var(v[0]) + var(v[0], 0, false, 0); }},
      {"var, keepdim",
       {{{2, 3, 2}}},
       some_rows,
       [](const Vars& v) {
         return var(v[0], {0, -1}, true) * v[0];
       }},
      {"stddev", {{{2}}, {{4, 3}}}, some_rows, [](const Vars& v) { return stddev(v[0], 0); }},
      {"norm", kRows, one_row, [](const Vars& v) { return norm(v[0], -1, true) * v[0]; }},
      {"norm, all", {{{1}}, {{3, 2}}}, one, [](const Vars& v) { return norm(v[0]); }},
      {"logsumexp", {{{1}}, {{3, 17}}, {{2, 1, 5}}}, one_row, [](const Vars& v) { return logsumexp(v[0] * 5.0, -1); }},
      {"logsumexp, all", {{{}}, {{3, 2}}}, one, [](const Vars& v) { return logsumexp(v[0]); }},
      {"cumsum", kRows, one_row, [](const Vars& v) { return cumsum(v[0], -1) * v[0] + cumsum(v[0], 0); }},
      {"amax", {{{1}}, {{2, 3}}}, one, [](const Vars& v) { return amax(v[0]) - amin(v[0]); }},
      {"amax, axes",
       {{{2, 3, 4}}, {{1, 1}}},
       some_rows,
       [](const Vars& v) {
         return amax(v[0], {0, -1}, true) * v[0] + amin(v[0], -1, true);
       }},
      {"max", {{{1, 1}}, {{3, 4}}}, some_rows, [](const Vars& v) { return max(v[0], 0).values - min(v[0], 0).values; }},
      {"max, keepdim",
       {{{1, 1}}, {{3, 4}}},
       one_row,
       [](const Vars& v) { return max(v[0], -1, true).values * min(v[0], -1, true).values * v[0]; }},
      {"softmax", kRows, one_row, [](const Vars& v) { return softmax(v[0]); }},
      {"softmax, large logits", kRows, one_row, [](const Vars& v) { return softmax(v[0] * 80.0); }},
      {"log_softmax", kRows, one_row, [](const Vars& v) { return log_softmax(v[0]); }},

      {"matmul",
       {{{2, 4, 3}, {3, 5}}, {{1, 1}, {1, 1}}, {{0, 3}, {3, 2}}, {{2, 0}, {0, 3}}, {{3, 1, 2, 4}, {2, 4, 1}}},
       [](Rng& rng) {
         const int64_t m = dim(rng), k = dim(rng), n = dim(rng), b = dim(rng);
         return rng.bernoulli(0.5) ? Shapes{{b, m, k}, {k, n}} : Shapes{{b, m, k}, {b, k, n}};
       },
       [](const Vars& v) { return matmul(v[0], v[1]); }},
      {"matmul, transposed",
       {{{3, 2}, {5, 3}}, {{1, 1}, {1, 1}}},
       [](Rng& rng) {
         const int64_t m = dim(rng), k = dim(rng), n = dim(rng), b = dim(rng);
         return Shapes{{b, k, m}, {b, n, k}};
       },
       [](const Vars& v) { return matmul(v[0], v[1], Trans::yes, Trans::yes); }},
      {"matmul, one transposed",
       {{{3, 2}, {3, 5}}},
       [](Rng& rng) {
         const int64_t m = dim(rng), k = dim(rng), n = dim(rng);
         return Shapes{{k, m}, {k, n}};
       },
       [](const Vars& v) {
         return matmul(v[0], v[1], Trans::yes) + matmul(v[0], transpose(v[1], 0, 1), Trans::yes, Trans::yes);
       }},
      {"linear",
       {{{2, 3}, {4, 3}, {4}}, {{0, 3}, {2, 3}, {2}}, {{1}, {1, 1}, {1}}},
       [](Rng& rng) {
         const int64_t in = dim(rng), out = dim(rng);
         return Shapes{{dim(rng), dim(rng), in}, {out, in}, {out}};
       },
       [](const Vars& v) { return linear(v[0], v[1], v[2]) + linear(v[0], v[1], Var()); }},
      {"weight_norm_linear",
       {{{2, 3}, {4, 3}, {4, 1}}, {{0, 3}, {2, 3}, {2, 1}}, {{2}, {1, 2}, {1, 1}}},
       [](Rng& rng) {
         const int64_t in = 1 + dim(rng), out = dim(rng);
         return Shapes{{dim(rng), dim(rng), in}, {out, in}, {out, 1}};
       },
       [](const Vars& v) { return weight_norm_linear(v[0], v[1], v[2]); }},

      {"conv2d",
       {{{1, 1, 1, 1}, {1, 1, 1, 1}, {1}}, {{2, 3, 5, 4}, {2, 3, 3, 3}, {2}}},
       [](Rng& rng) {
         const int64_t in = dim(rng, 3), out = dim(rng, 3), k = 1 + 2 * rng.below(2);
         return Shapes{{dim(rng, 2), in, k + rng.below(3), k + rng.below(3)}, {out, in, k, k}, {out}};
       },
       [](const Vars& v) {
         return conv2d(v[0], v[1], v[2], {.stride = 2, .padding = 1}) + mean(conv2d(v[0], v[1], Var(), {}));
       }},
      {"max_pool2d",
       {{{1, 1, 2, 2}}, {{2, 2, 5, 4}}},
       [](Rng& rng) {
         return Shapes{{dim(rng, 2), dim(rng, 3), 2 + rng.below(4), 2 + rng.below(4)}};
       },
       [](const Vars& v) { return max_pool2d(v[0], 3, 2, 1); }},

      {"avg_pool2d",
       {{{1, 1, 2, 2}}, {{2, 2, 5, 4}}, {{0, 1, 3, 3}}},
       [](Rng& rng) {
         return Shapes{{dim(rng, 2), dim(rng, 3), 2 + rng.below(4), 2 + rng.below(4)}};
       },
       [](const Vars& v) { return avg_pool2d(v[0], 3, 2, 1); }},
      {"interpolate",
       {{{1, 1, 1, 1}}, {{2, 2, 5, 4}}, {{0, 1, 3, 3}}},
       [](Rng& rng) {
         return Shapes{{dim(rng, 2), dim(rng, 3), dim(rng), dim(rng)}};
       },
       [](const Vars& v) {
         Var total = interpolate(v[0], {3, 7});
         for (const Interpolation mode : {Interpolation::bilinear, Interpolation::bicubic})
           total += interpolate(v[0], {3, 7}, mode) * 0.5;
         return total;
       }},

      {"group_norm",
       {{{2, 4, 3}, {4}, {4}}, {{0, 2, 2, 2}, {2}, {2}}, {{3, 2}, {2}, {2}}},
       [](Rng& rng) {
         const int64_t c = 2 * dim(rng, 3);
         return Shapes{{dim(rng), c, 1 + dim(rng), dim(rng)}, {c}, {c}};
       },
       [](const Vars& v) { return group_norm(v[0], 2, v[1], v[2], 1e-2); }},
      {"layer_norm",
       {{{2, 5}, {5}, {5}}, {{0, 3}, {3}, {3}}, {{1, 2}, {2}, {2}}},
       [](Rng& rng) {
         const int64_t c = 2 + rng.below(20);
         return Shapes{{dim(rng), dim(rng), c}, {c}, {c}};
       },
       [](const Vars& v) { return layer_norm(v[0], v[1], v[2], 1e-5); }},
      {"layer_norm, constant rows",
       {{{2, 5}, {5}, {5}}},
       [](Rng& rng) {
         return Shapes{{dim(rng), 4}, {4}, {4}};
       },
       [](const Vars& v) { return layer_norm(v[0] * 1e-3 + 5.0, v[1], v[2], 1e-2); }},
      {"rms_norm",
       {{{2, 5}, {5}}, {{0, 3}, {3}}, {{1, 1}, {1}}},
       [](Rng& rng) {
         const int64_t c = dim(rng, 20);
         return Shapes{{dim(rng), dim(rng), c}, {c}};
       },
       [](const Vars& v) { return rms_norm(v[0], v[1], 1e-5); }},
      {"batch_norm_train",
       {{{3, 2, 2, 2}, {2}, {2}}, {{4, 3}, {3}, {3}}},
       [](Rng& rng) {
         const int64_t c = dim(rng, 4);
         return Shapes{{2 + rng.below(3), c, dim(rng, 3), dim(rng, 3)}, {c}, {c}};
       },
       [](const Vars& v) { return batch_norm_train(v[0], v[1], v[2], 1e-3, {}); }},
      {"batch_norm_eval",
       {{{3, 2, 2, 2}, {2}, {2}}, {{4, 3}, {3}, {3}}, {{0, 2, 1, 1}, {2}, {2}}},
       [](Rng& rng) {
         const int64_t c = dim(rng, 4);
         return Shapes{{dim(rng), c, dim(rng, 3), dim(rng, 3)}, {c}, {c}};
       },
       [](const Vars& v) {
         const int64_t c = v[1].size(0);
         const Tensor mean = full({c}, 0.25, DType::f64), var = full({c}, 2, DType::f64);
         return batch_norm_eval(v[0], v[1], v[2], mean, var, 1e-5);
       }},
      {"l2_normalize", kRows, one_row, [](const Vars& v) { return l2_normalize(v[0]); }},

      {"attention",
       {{{1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}}, {{2, 2, 3, 4}, {2, 2, 5, 4}, {2, 2, 5, 4}}},
       [](Rng& rng) {
         const int64_t b = dim(rng, 2), h = dim(rng, 3), m = dim(rng), n = dim(rng), d = dim(rng);
         return Shapes{{b, h, m, d}, {b, h, n, d}, {b, h, n, d}};
       },
       [](const Vars& v) { return attention(v[0], v[1], v[2], {.scale = 0.7}); }},
      {"attention, grouped heads with a bias and a mask",
       {{{1, 2, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1}}, {{2, 4, 3, 4}, {2, 2, 5, 4}, {2, 2, 5, 4}, {4, 3, 5}}},
       [](Rng& rng) {
         const int64_t b = dim(rng, 2), h = dim(rng, 3), m = dim(rng), n = dim(rng), d = dim(rng);
         return Shapes{{b, 2 * h, m, d}, {b, h, n, d}, {b, h, n, d}, {rng.bernoulli(0.5) ? 2 * h : 1, m, n}};
       },
       [](const Vars& v) {
         const int64_t keys = v[1].size(2);
         Tensor mask = full({1, 1, 1, keys}, 1, DType::u8);
         if (keys > 1) mask.data<uint8_t>()[keys / 2] = 0;
         return attention(v[0], v[1], v[2], {.scale = 0.7, .mask = mask}, v[3]);
       }},
      {"attention, packed with a bias",
       {{{1, 1, 6}, {2, 1, 1}}, {{2, 3, 12}, {1, 3, 3}}},
       [](Rng& rng) {
         const int64_t n = dim(rng, 6);
         return Shapes{{dim(rng, 2), n, 6 * dim(rng, 4)}, {2, n, n}};
       },
       [](const Vars& v) { return attention(v[0], 2, {.scale = 0.7}, v[1]); }},
      {"attention, after a cache with a prefix",
       {{{1, 1, 1, 1}, {1, 1, 4, 1}, {1, 1, 4, 1}}},
       [](Rng& rng) {
         const int64_t b = dim(rng, 2), h = dim(rng, 3), m = dim(rng), d = dim(rng);
         return Shapes{{b, h, m, d}, {b, h, m + 3, d}, {b, h, m + 3, d}};
       },
       [](const Vars& v) {
         return attention(v[0], v[1], v[2], {.scale = 0.7, .causal = true, .first_query = 1, .prefix = 3});
       }},
      {"attention, packed",
       {{{1, 1, 6}}, {{2, 17, 12}}},
       [](Rng& rng) {
         return Shapes{{dim(rng, 2), dim(rng, 6), 6 * dim(rng, 4)}};
       },
       [](const Vars& v) { return attention(v[0], 2, {.scale = 0.7}); }},
      {"attention, causal",
       {{{1, 1, 6}}, {{2, 9, 12}}},
       [](Rng& rng) {
         return Shapes{{dim(rng, 2), dim(rng, 6), 6 * dim(rng, 4)}};
       },
       [](const Vars& v) { return attention(v[0], 2, {.scale = 0.7, .causal = true}); }},
      {"window_attention",
       {{{1, 1, 3, 1}, {1, 1, 3, 1}, {1, 1, 3, 1}}, {{0, 2, 6, 4}, {0, 2, 6, 4}, {0, 2, 6, 4}}},
       [](Rng& rng) {
         const Shape shape{dim(rng, 2), dim(rng, 3), 3 * dim(rng), dim(rng)};
         return Shapes{shape, shape, shape};
       },
       [](const Vars& v) {
         const Windows windows{.prefix = 0, .grid = {3, v[0].size(2) / 3}, .side = 2};
         return window_attention(v[0], v[1], v[2], 0.7, windows);
       }},
      {"window_attention, packed after prefix tokens",
       {{{1, 5, 6}}, {{2, 14, 12}}},
       [](Rng& rng) {
         return Shapes{{dim(rng, 2), 2 + 3 * dim(rng), 6 * dim(rng, 3)}};
       },
       [](const Vars& v) {
         const Windows windows{.prefix = 2, .grid = {3, v[0].size(1) / 3}, .side = 2};
         return window_attention(v[0], 2, 0.7, windows);
       }},
      {"rotate",
       {{{1, 1, 2, 4}}, {{0, 2, 5, 8}}},
       [](Rng& rng) {
         return Shapes{{dim(rng, 2), dim(rng, 3), 1 + 2 * dim(rng), 4 * dim(rng, 3)}};
       },
       [](const Vars& v) {
         return rotate(v[0], core::make_rope({2, v[0].size(2) / 2}, v[0].size(3), 100, DType::f64)) * 2.0;
       }},
      {"rotate, packed",
       {{{1, 2, 24}}, {{2, 5, 24}}},
       [](Rng& rng) {
         return Shapes{{dim(rng, 2), 1 + 2 * dim(rng), 24 * dim(rng, 2)}};
       },
       [](const Vars& v) {
         return rotate(v[0], 2, core::make_rope({2, v[0].size(1) / 2}, v[0].size(2) / 6, 100, DType::f64)) * 2.0;
       }},

      {"patchify",
       {{{1, 1, 2, 2}}, {{2, 3, 4, 6}}, {{0, 3, 4, 4}}},
       [](Rng& rng) {
         return Shapes{{dim(rng, 2), dim(rng, 3), 2 * dim(rng, 3), 2 * dim(rng, 3)}};
       },
       [](const Vars& v) { return patchify(v[0], 2); }},
      {"unpatchify",
       {{{1, 1, 4}}, {{2, 6, 12}}, {{0, 2, 4}}},
       [](Rng& rng) {
         return Shapes{{dim(rng, 2), dim(rng, 3), 4 * dim(rng, 3)}};
       },
       [](const Vars& v) {
         return unpatchify(v[0], 2, {v[0].size(0), v[0].size(2) / 4, 2, 2 * v[0].size(1)}) * 2.0;
       }},
      {"resample_positions",
       {{{16, 3}}, {{16, 1}}},
       [](Rng& rng) {
         return Shapes{{16, dim(rng)}};
       },
       [](const Vars& v) {
         std::vector<Var> tables;
         for (const PosInterp mode : {PosInterp::scale_offset, PosInterp::size_antialias, PosInterp::size,
                                      PosInterp::align_corners, PosInterp::zoom_linear}) {
           tables.push_back(resample_positions(v[0], {4, 4}, {3, 5}, mode));
           tables.push_back(resample_positions(v[0], {4, 4}, {2, 6}, mode));
         }
         return concat(tables, 0);
       }},

      {"reshape",
       {{{0, 4}}, {{2, 4}}, {{1, 4}}},
       [](Rng& rng) {
         return Shapes{{dim(rng), dim(rng), 4}};
       },
       [](const Vars& v) {
         return reshape(v[0], {-1, 2, 2}) * 2.0;
       }},
      {"transpose",
       {{{0, 2}}, {{2, 3}}},
       [](Rng& rng) {
         return Shapes{{dim(rng), dim(rng), dim(rng)}};
       },
       [](const Vars& v) { return transpose(v[0], 0, -1) * 2.0; }},
      {"permute",
       {{{2, 0, 1, 3}}, {{2, 3, 4, 5}}},
       [](Rng& rng) {
         return Shapes{{dim(rng), dim(rng), dim(rng), dim(rng)}};
       },
       [](const Vars& v) {
         return permute(v[0], {2, 0, 3, 1}) * 2.0;
       }},
      {"slice",
       {{{3, 2}}, {{3, 0}}},
       [](Rng& rng) {
         return Shapes{{3 + rng.below(3), dim(rng)}};
       },
       [](const Vars& v) { return slice(v[0], 0, 1, 3) * slice(v[0], 0, 0, 2); }},
      {"select",
       {{{2, 2}}, {{0, 2}}},
       [](Rng& rng) {
         return Shapes{{dim(rng), 2 + rng.below(3)}};
       },
       [](const Vars& v) { return select(v[0], 1, 1) * select(v[0], 1, 0); }},
      {"expand",
       {{{1, 3}}, {{1, 0}}},
       [](Rng& rng) {
         return Shapes{{1, dim(rng)}};
       },
       [](const Vars& v) {
         return expand(v[0], {4, 2, v[0].size(1)}) * 2.0;
       }},
      {"concat",
       {{{0, 2}, {3, 2}}, {{1, 1}, {1, 1}}},
       [](Rng& rng) {
         const int64_t n = dim(rng);
         return Shapes{{dim(rng), n}, {dim(rng), n}};
       },
       [](const Vars& v) {
         return concat({v[0], v[1], v[0]}, 0);
       }},
      {"flatten, squeeze, unsqueeze", kRows, one_row,
       [](const Vars& v) { return flatten(squeeze(unsqueeze(v[0], -1) * 2.0, -1), 0, -1); }},
      {"stack",
       {{{0, 2}, {0, 2}}, {{}, {}}, {{1, 3}, {1, 3}}},
       [](Rng& rng) {
         const Shape shape = any(rng);
         return Shapes{shape, shape};
       },
       [](const Vars& v) {
         return stack({v[0], v[1], v[0]}) * 2.0 + stack({v[1], v[1], v[1]}, 0);
       }},
      {"stack, last",
       {{{2, 2}, {2, 2}}},
       [](Rng& rng) {
         const Shape shape = any(rng);
         return Shapes{shape, shape};
       },
       [](const Vars& v) {
         return stack({v[0], v[1]}, -1) * 2.0;
       }},
      {"split and chunk",
       {{{5, 2}}, {{4, 1}}, {{3, 0}}},
       one_row,
       [](const Vars& v) {
         Var total = sum(v[0]);
         for (const Var& part : split(v[0], 2)) total += sum(part * part);
         for (const Var& part : chunk(v[0], 3, -1)) total += sum(part * part * part);
         return total;
       }},
      {"flip", kRows, one_row,
       [](const Vars& v) {
         return flip(v[0], {0, -1}) * v[0] + flip(v[0], -1);
       }},
      {"roll", kRows, one_row,
       [](const Vars& v) {
         return roll(v[0], {1, -2}, {0, -1}) * v[0] + roll(v[0], 3, -1);
       }},
      {"pad",
       {{{1, 2}}, {{0, 3}}},
       some_rows,
       [](const Vars& v) {
         return pad(v[0], {1, 2, 0, 1}, 0.5) * 2.0;
       }},
      {"index_select", kRows, one_row,
       [](const Vars& v) {
         return square(index_select(v[0], -1, some_ids({4}, v[0].size(-1)))) +
                sum(index_select(v[0], 0,
                                 some_ids({3}, std::max<int64_t>(v[0].size(0), 1)).slice(0, 0, v[0].size(0) ? 3 : 0)));
       }},
      {"index_add",
       {{{3, 2}, {2, 2}}, {{1}, {2}}, {{2, 1, 3}, {2, 1, 3}}},
       [](Rng& rng) {
         const Shape shape = rows(rng);
         return Shapes{shape, shape.with(0, dim(rng))};  // some slices twice
       },
       [](const Vars& v) { return square(index_add(v[0], 0, some_ids({v[1].size(0)}, v[0].size(0)), v[1])); }},
      {"gather",
       {{{2, 3}}, {{1, 1}}},
       some_rows,
       [](const Vars& v) {
         const Shape shape = v[0].shape();
         return gather(v[0], 0, some_ids(shape.with(0, 4), shape[0])) +
                sum(gather(v[0], -1, some_ids(shape.with(-1, 2), shape[-1])));
       }},
      {"scatter_add",
       {{{2, 3}, {2, 5}}, {{0, 3}, {0, 5}}},
       [](Rng& rng) {
         const int64_t n = dim(rng);
         return Shapes{{n, dim(rng)}, {n, dim(rng)}};
       },
       [](const Vars& v) { return scatter_add(v[0], 1, some_ids(v[1].shape(), v[0].size(1)), v[1]) * 2.0; }},
      {"embedding",
       {{{1, 2}}, {{5, 1}}},
       [](Rng& rng) {
         return Shapes{{dim(rng), dim(rng)}};
       },
       [](const Vars& v) {
         return embedding(v[0], some_ids({2, 5}, v[0].size(0)));
       }},
      {"gather_last",
       {{{1, 1}}, {{3, 4}}},
       [](Rng& rng) {
         return Shapes{{dim(rng), dim(rng)}};
       },
       [](const Vars& v) { return gather_last(v[0], some_ids({v[0].size(0)}, v[0].size(1))); }},
      {"gather_tokens",
       {{{1, 1, 1}}, {{2, 3, 4}}},
       [](Rng& rng) {
         return Shapes{Shape{dim(rng), dim(rng), dim(rng)}};
       },
       [](const Vars& v) {
         return gather_tokens(v[0], some_ids({v[0].size(0), 3}, v[0].size(1)));
       }},

      {"cross_entropy",
       {{{1, 1}}, {{3, 5}}},
       [](Rng& rng) {
         return Shapes{{dim(rng), dim(rng)}};
       },
       [](const Vars& v) {
         const Tensor labels = some_ids({v[0].size(0)}, v[0].size(1));
         return cross_entropy(v[0], labels) + cross_entropy(v[0] * 30.0, labels, {.smoothing = 0.1});
       }},
      {"cross_entropy, ignored rows",
       {{{2, 3}}},
       [](Rng& rng) {
         return Shapes{{2 + rng.below(4), dim(rng)}};
       },
       [](const Vars& v) {
         Tensor labels = some_ids({v[0].size(0)}, v[0].size(1));
         labels.span<int64_t>()[0] = -100;
         return cross_entropy(v[0], labels, {.smoothing = 0.1});
       }},
      {"soft_cross_entropy",
       {{{1, 1}}, {{3, 5}}},
       [](Rng& rng) {
         return Shapes{{dim(rng), dim(rng)}};
       },
       [](const Vars& v) { return soft_cross_entropy(v[0], soft_target(v[0].shape())); }},
      {"bce_with_logits",
       {{{1, 1}}, {{3, 5}}},
       [](Rng& rng) {
         return Shapes{{dim(rng), dim(rng)}};
       },
       [](const Vars& v) { return bce_with_logits(v[0] * 5.0, soft_target(v[0].shape())); }},
      {"nll_loss",
       {{{1, 1}}, {{3, 5}}},
       [](Rng& rng) {
         return Shapes{{1 + dim(rng), dim(rng)}};
       },
       [](const Vars& v) {
         Tensor labels = some_ids({v[0].size(0)}, v[0].size(1));
         if (labels.numel() > 1) labels.span<int64_t>()[1] = -100;
         return nll_loss(v[0], labels);
       }},
      {"kl_div",
       {{{1, 1}}, {{3, 5}}},
       [](Rng& rng) {
         return Shapes{{dim(rng), dim(rng)}};
       },
       [](const Vars& v) {
         const Tensor target = soft_target(v[0].shape());
         return kl_div(log_softmax(v[0]), target) + kl_div(v[0], target, KlNorm::batch);
       }},
      {"l1_loss",
       {{{1}, {1}}, {{2, 3}, {2, 3}}},
       [](Rng& rng) {
         const Shape shape = rows(rng);
         return Shapes{shape, shape};
       },
       [](const Vars& v) { return l1_loss(v[0], v[1]); }},
      {"smooth_l1_loss",
       {{{1}, {1}}, {{2, 3}, {2, 3}}},
       [](Rng& rng) {
         const Shape shape = rows(rng);
         return Shapes{shape, shape};
       },
       [](const Vars& v) { return smooth_l1_loss(v[0], v[1]) + smooth_l1_loss(v[0], v[1], 0.3); }},
      {"mse",
       {{{1}, {1}}, {{2, 3}, {2, 3}}},
       [](Rng& rng) {
         const Shape shape = rows(rng);
         return Shapes{shape, shape};
       },
       [](const Vars& v) { return mse(v[0], v[1]); }},
      {"recompute",
       {{{2, 3}}},
       [](Rng& rng) {
         return Shapes{{dim(rng), dim(rng)}};
       },
       [](const Vars& v) { return recompute([](const Var& x) { return tanh(x * x) + x; }, v[0]) * v[0]; }},
  };
  return all;
}

void check_shapes(const GradCase& c, const Shapes& shapes, uint64_t seed, std::set<std::string>& ops) {
  std::string given;
  for (const Shape& s : shapes) given += to_string(s) + " ";
  CAPTURE(given);
  const GradReport report = gradcheck(c.fn, shapes, {.eps = c.eps, .seed = seed});
  CAPTURE(to_string(report));
  CHECK(report.ok);
  ops.insert(report.ops.begin(), report.ops.end());
}

/// Every name given to record() in the library's own sources.
std::set<std::string> recorded_names() {
  std::set<std::string> names;
  const std::regex call(R"((?:record|masked|reduced|chosen|extreme)\(\s*"(\w+)\")");
  for (const auto& file : std::filesystem::directory_iterator(VITRAIL_SOURCE_DIR "/autograd/ops")) {
    if (file.path().extension() != ".cpp") continue;
    std::stringstream text;
    text << std::ifstream(file.path()).rdbuf();
    const std::string source = text.str();
    for (std::sregex_iterator it(source.begin(), source.end(), call), end; it != end; ++it) names.insert((*it)[1]);
  }
  return names;
}

}  // namespace

TEST_CASE("backward matches central differences, and every op has a row") {
  constexpr int kRandomShapes = 20;
  std::set<std::string> ops;
  for (const GradCase& c : cases()) {
    CAPTURE(c.name);
    uint64_t seed = stream_id(c.name);
    for (const Shapes& shapes : c.fixed) check_shapes(c, shapes, ++seed, ops);
    Rng rng(1, c.name);
    for (int i = 0; i < kRandomShapes; ++i) check_shapes(c, c.random(rng), ++seed, ops);
  }
  const auto names = recorded_names();
  CHECK(names.size() > 40);
  for (const std::string& name : names) {
    CAPTURE(name);
    CHECK(ops.contains(name));
  }
}

TEST_CASE("gradcheck finds a wrong gradient and says where") {
  const auto wrong = [](const Vars& v) {
    return record("wrong", core::mul(v[0].value(), v[0].value()), {v[0]},
                  [x = v[0].value()](const Tensor& dy, Sink& dx) { dx.add(0, core::mul(dy, x)); });  // lacks the 2
  };
  const GradReport report = gradcheck(wrong, Shapes{{2, 3}});
  CHECK_FALSE(report.ok);
  CHECK(report.input == 0);
  CHECK(report.numeric == doctest::Approx(2 * report.analytic));
  CHECK(to_string(report).find("input 0 element") == 0);
  CHECK_THROWS_WITH_AS(gradcheck(wrong, std::vector<Tensor>{zeros({2})}), doctest::Contains("needs f64"), ShapeError);
}

TEST_CASE("gradcheck of a large function checks directions") {
  CHECK(gradcheck([](const Vars& v) { return tanh(v[0]); }, Shapes{{80, 80}}).ok);
  const auto wrong = [](const Vars& v) {
    return record("wrong", v[0].value(), {v[0]}, [](const Tensor& dy, Sink& dx) { dx.add(0, core::affine(dy, 1.01)); });
  };
  CHECK_FALSE(gradcheck(wrong, Shapes{{80, 80}}).ok);
}

namespace {

/// x * g, whose gradient by g is forgotten if `wrong`.
struct Gain {
  explicit Gain(DType dtype, bool forgets) : g("gain.g", ones({3}, dtype)), wrong(forgets) {}
  std::vector<Parameter*> parameters() { return {&g}; }
  Var operator()(const Var& x) {
    const Var gain = g;
    return record("gain", x.value() * gain.value(), {x, gain},
                  [x = x.value(), g = gain.value(), this](const Tensor& dy, Sink& dx) {
                    dx.add(0, dy * g);
                    if (!wrong) dx.add(1, dy * x);
                  });
  }
  Parameter g;
  bool wrong;
};

}  // namespace

TEST_CASE("gradcheck of a module checks its parameters") {
  Gain right(DType::f64, false), wrong(DType::f64, true), narrow(DType::f32, false);
  right.g.grad() = full({3}, 7, DType::f64);
  CHECK(gradcheck(right, {Shape{2, 3}}).ok);
  CHECK(right.g.grad().to_vector() == std::vector<double>{7, 7, 7});
  CHECK(right.g.value().to_vector() == std::vector<double>{1, 1, 1});
  const GradReport report = gradcheck(wrong, {Shape{2, 3}});
  CHECK_FALSE(report.ok);
  CHECK(report.input == -1);
  CHECK(to_string(report).find("parameter 'gain.g' element") == 0);
  CHECK_FALSE(gradcheck(wrong, {Shape{2, 3}}, {.max_entries = 4}).ok);
  CHECK_THROWS_WITH_AS(gradcheck(narrow, {Shape{2, 3}}), doctest::Contains("parameter 'gain.g' is f32"), ShapeError);
  wrong.g.set_requires_grad(false);
  CHECK(gradcheck(wrong, {Shape{2, 3}}).ok);
}

TEST_CASE("values and gradients that a table of differences cannot show") {
  using Values = std::vector<double>;
  const auto gradient = [](const Tensor& x, const std::function<Var(const Var&)>& fn) {
    Tape tape;
    const Var in = tape.input(x);
    tape.backward(sum(fn(in)));
    return tape.grad(in).to_vector();
  };
  const Tensor tied = tensor<double>({2, 2, 1}, {3});
  CHECK(gradient(tied, [](const Var& x) { return amax(x); }) == Values{0.5, 0.5, 0});
  CHECK(gradient(tied, [](const Var& x) { return max(x, 0).values; }) == Values{1, 0, 0});
  CHECK(gradient(tied, [](const Var& x) { return maximum(x, full({3}, 2, DType::f64)); }) == Values{0.5, 0.5, 0});
  const Tensor zero = zeros({2}, DType::f64);
  CHECK(gradient(zero, [](const Var& x) { return norm(x); }) == Values{0, 0});
  CHECK(gradient(zero, [](const Var& x) { return stddev(x); }) == Values{0, 0});
  CHECK(gradient(zero, [](const Var& x) { return abs(x); }) == Values{0, 0});
  CHECK(gradient(zero, [](const Var& x) { return detach(x) * x; }) == Values{0, 0});
  CHECK(gradient(ones({2}, DType::f64), [](const Var& x) { return detach(x) * x; }) == Values{1, 1});
  CHECK(gradient(tied, [](const Var& x) { return clamp(x, 1, 2); }) == Values{1, 1, 1});  // limits are inside

  const Tensor x = tensor<float>({1, 2, 3}, {3}), t = tensor<float>({1.5, 0, 3}, {3});
  CHECK(l1_loss(x, t).item() == doctest::Approx(2.5 / 3));
  CHECK(smooth_l1_loss(x, t).item() == doctest::Approx((0.125 + 1.5) / 3));
  CHECK(smooth_l1_loss(x, t, 0.25).item() == doctest::Approx((0.375 + 1.875) / 3));
  const Tensor log_q = log(tensor<float>({0.25, 0.75, 0.5, 0.5}, {2, 2})), p = tensor<float>({0.5, 0.5, 1, 0}, {2, 2});
  const double kl = 0.5 * std::log(2) + 0.5 * std::log(0.5 / 0.75) + std::log(2);
  CHECK(kl_div(log_q, p).item() == doctest::Approx(kl / 4));
  CHECK(kl_div(log_q, p, KlNorm::batch).item() == doctest::Approx(kl / 2));
  CHECK(nll_loss(log_q, tensor<int64_t>({1, -100}, {2})).item() == doctest::Approx(-std::log(0.75)));
  CHECK((Var(x) > 1.5).to_vector() == Values{0, 1, 1});
  CHECK(mean(Var(x), 0).item() == 2);
  const Var grouped = group_norm(arange(8, DType::f32).reshape({1, 4, 2}), 2, full({4}, 2), ones({4}), 0);
  CHECK(grouped.value().to_vector()[0] == doctest::Approx(1 - 2 * 1.5 / std::sqrt(1.25)));
  CHECK(grouped.value().to_vector()[7] == doctest::Approx(1 + 2 * 1.5 / std::sqrt(1.25)));
}

}  // namespace vitrail::ag
