#include "tests/support/close.h"
#include "vitrail/autograd/gradcheck.h"
#include "vitrail/autograd/ops.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

namespace vitrail::ag {
namespace {

using Shapes = std::vector<Shape>;

/// One differentiable op: shapes that are awkward, a rule for random ones, and the function to check. New ops get a
/// row.
struct GradCase {
  std::string name;
  std::vector<Shapes> fixed;
  std::function<Shapes(Rng&)> random;
  std::function<Var(const Vars&)> fn;
  double eps = 1e-6;  // of the differences; larger for linear functions that round
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

      {"patchify",
       {{{1, 1, 2, 2}}, {{2, 3, 4, 6}}, {{0, 3, 4, 4}}},
       [](Rng& rng) {
         return Shapes{{dim(rng, 2), dim(rng, 3), 2 * dim(rng, 3), 2 * dim(rng, 3)}};
       },
       [](const Vars& v) { return patchify(v[0], 2); }},
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
      {"mse",
       {{{1}, {1}}, {{2, 3}, {2, 3}}},
       [](Rng& rng) {
         const Shape shape = rows(rng);
         return Shapes{shape, shape};
       },
       [](const Vars& v) { return mse(v[0], v[1]); }},
      {"checkpoint",
       {{{2, 3}}},
       [](Rng& rng) {
         return Shapes{{dim(rng), dim(rng)}};
       },
       [](const Vars& v) { return checkpoint([](const Var& x) { return tanh(x * x) + x; }, v[0]) * v[0]; }},
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
  const std::regex call(R"((?:record|masked|reduced)\(\s*"(\w+)\")");
  for (const auto& file : std::filesystem::directory_iterator(VITRAIL_SOURCE_DIR "/autograd")) {
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

}  // namespace vitrail::ag
