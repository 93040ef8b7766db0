#include "tests/core/ops/kernel_case.h"
#include "vitrail/core/error.h"
#include "vitrail/core/reference/reduce.h"

#include <cmath>

namespace vitrail {
namespace {

using namespace core;
using test::KernelCase, test::Tensors;

constexpr double kEps = 1e-6;

Tensors all(const LayerNormOut& out) { return {out.y, out.mean, out.rstd}; }
Tensors all(const NormGrads& g) { return {g.x, g.weight, g.bias}; }

/// Inputs: x, weight, bias, dy.
const std::vector<KernelCase> kLastAxis = {
    {"layer_norm", [](const Tensors& t) { return all(layer_norm(t[0], t[1], t[2], kEps)); }, 5e-6, 1e-2,
     [](const Tensors& t) { return Tensors{reference::layer_norm(t[0], t[1], t[2], kEps)}; }},
    {"layer_norm_backward",
     [](const Tensors& t) {
       const LayerNormOut out = layer_norm(t[0], t[1], t[2], kEps);
       return all(layer_norm_backward(t[3], t[0], t[1], out.mean, out.rstd));
     },
     2e-5, 1e-2},
    {"rms_norm", [](const Tensors& t) { return all(rms_norm(t[0], t[1], kEps)); }, 5e-6, 1e-2,
     [](const Tensors& t) { return Tensors{reference::rms_norm(t[0], t[1], kEps)}; }},
    {"rms_norm_backward",
     [](const Tensors& t) { return all(rms_norm_backward(t[3], t[0], t[1], rms_norm(t[0], t[1], kEps).rstd)); }, 2e-5,
     1e-2},
    {"l2_normalize",
     [](const Tensors& t) {
       return Tensors{l2_normalize(t[0]).y, l2_normalize(t[0]).norm};
     },
     5e-6, 6e-3, [](const Tensors& t) { return Tensors{reference::l2_normalize(t[0], 1e-12)}; }},
};

const std::vector<KernelCase> kChannels = {
    {"batch_norm_train",
     [](const Tensors& t) {
       const BatchNormOut out = batch_norm_train(t[0], t[1], t[2], kEps);
       return Tensors{out.y, out.mean, out.var};
     },
     5e-6, 1e-2, [](const Tensors& t) { return Tensors{reference::batch_norm(t[0], t[1], t[2], kEps)}; }},
    {"batch_norm_backward",
     [](const Tensors& t) {
       const BatchNormOut out = batch_norm_train(t[0], t[1], t[2], kEps);
       return all(batch_norm_backward(t[3], t[0], t[1], out.mean, out.var, kEps));
     },
     2e-5, 2e-2},
};

/// (x - mean) / sqrt(var + eps) * weight + bias over the axes given, from elementary operations.
Tensor normalized(const Tensor& x, const std::vector<int>& axes, const Tensor& weight, const Tensor& bias) {
  const Tensor centred = sub(x, mean(x, axes, true));
  const Tensor var = mean(mul(centred, centred), axes, true);
  return add(mul(div(centred, core::sqrt(affine(var, 1, kEps))), weight), bias);
}

/// sum(dy f(x)) differentiated by x[i] with central differences.
template <class F>
Tensor numeric_gradient(const Tensor& x, const Tensor& dy, F&& f) {
  Tensor g = zeros(x.shape(), DType::f64), probe = x.clone();
  for (int64_t i = 0; i < x.numel(); ++i) {
    const double h = 1e-6, at = probe.data<double>()[i];
    const auto value = [&](double v) {
      probe.data<double>()[i] = v;
      return sum(mul(dy, f(probe))).item();
    };
    g.data<double>()[i] = (value(at + h) - value(at - h)) / (2 * h);
    probe.data<double>()[i] = at;
  }
  return g;
}

struct Inputs {
  Tensor x, weight, bias, dy;
  explicit Inputs(const Shape& shape, int axis = -1) {
    Rng rng(8, "norm", uint64_t(shape.numel()));
    x = affine(rng.normal(shape, 0, 1, DType::f64), 2, 0.5);
    weight = rng.uniform({shape[axis]}, 0.5, 1.5, DType::f64);
    bias = rng.normal({shape[axis]}, 0, 1, DType::f64);
    dy = rng.normal(shape, 0, 1, DType::f64);
  }
  Tensors list() const { return {x, weight, bias, dy}; }
};

}  // namespace

TEST_CASE("normalisation of the last axis agrees with the reference") {
  for (const Shape& shape : {Shape{7}, Shape{0, 5}, Shape{3, 17}, Shape{2, 3, 65}, Shape{150, 384}, Shape{2, 10007}})
    for (const KernelCase& c : kLastAxis) test::check_case(c, Inputs(shape).list());
}

TEST_CASE("batch_norm agrees with the reference") {
  for (const Shape& shape : {Shape{5, 3}, Shape{64, 33}, Shape{2, 3, 5, 7}, Shape{4, 1, 1, 1}, Shape{3, 2, 40, 40}})
    for (const KernelCase& c : kChannels) test::check_case(c, Inputs(shape, 1).list());
}

TEST_CASE("normalisation equals its definition, and its gradient central differences") {
  const Inputs rows(Shape{3, 6}), images(Shape{2, 3, 2, 2}, 1);
  const Tensor& x = rows.x;
  const LayerNormOut ln = layer_norm(x, rows.weight, rows.bias, kEps);
  CHECK(test::max_difference(ln.y, normalized(x, {-1}, rows.weight, rows.bias)) < 1e-13);
  const auto ln_of = [&](const Tensor& t) { return layer_norm(t, rows.weight, rows.bias, kEps).y; };
  const NormGrads g = layer_norm_backward(rows.dy, x, rows.weight, ln.mean, ln.rstd);
  CHECK(test::max_difference(g.x, numeric_gradient(x, rows.dy, ln_of)) < 1e-8);
  CHECK(test::max_difference(g.bias, sum(rows.dy, {0})) < 1e-13);
  const auto of_weight = [&](const Tensor& t) { return layer_norm(x, t, rows.bias, kEps).y; };
  CHECK(test::max_difference(g.weight, numeric_gradient(rows.weight, rows.dy, of_weight)) < 1e-8);

  const LayerNormOut rms = rms_norm(x, rows.weight, kEps);
  const Tensor root = core::sqrt(affine(mean(mul(x, x), {-1}, true), 1, kEps));
  CHECK(test::max_difference(rms.y, mul(div(x, root), rows.weight)) < 1e-13);
  const NormGrads rms_g = rms_norm_backward(rows.dy, x, rows.weight, rms.rstd);
  const auto rms_of = [&](const Tensor& t) { return rms_norm(t, rows.weight, kEps).y; };
  CHECK(test::max_difference(rms_g.x, numeric_gradient(x, rows.dy, rms_of)) < 1e-8);
  CHECK(test::max_difference(rms_g.weight, sum(mul(rows.dy, div(x, root)), {0})) < 1e-13);

  const BatchNormOut bn = batch_norm_train(images.x, images.weight, images.bias, kEps);
  const Tensor weight = images.weight.reshape({3, 1, 1}), bias = images.bias.reshape({3, 1, 1});
  CHECK(test::max_difference(bn.y, normalized(images.x, {0, 2, 3}, weight, bias)) < 1e-13);
  const auto bn_of = [&](const Tensor& t) { return batch_norm_train(t, images.weight, images.bias, kEps).y; };
  const NormGrads bn_g = batch_norm_backward(images.dy, images.x, images.weight, bn.mean, bn.var, kEps);
  CHECK(test::max_difference(bn_g.x, numeric_gradient(images.x, images.dy, bn_of)) < 1e-8);
  CHECK(test::max_difference(bn_g.bias, sum(images.dy, {0, 2, 3})) < 1e-13);
  CHECK(test::max_difference(batch_norm_eval(images.x, images.weight, images.bias, bn.mean, bn.var, kEps), bn.y) == 0);

  const L2NormOut l2 = l2_normalize(x);
  CHECK(test::max_difference(sum(mul(l2.y, l2.y), {-1}), ones({3}, DType::f64)) < 1e-14);
  const auto l2_of = [](const Tensor& t) { return l2_normalize(t).y; };
  CHECK(test::max_difference(l2_normalize_backward(rows.dy, l2.y, l2.norm), numeric_gradient(x, rows.dy, l2_of)) <
        1e-8);
}

TEST_CASE("weight normalisation's gradient is that of its definition, in every type") {
  Rng rng(4, "weight norm");
  const test::KernelCase c{"weight_norm_backward_",
                           [](const Tensors& t) {
                             Tensor dw = t[0].clone();
                             const Tensor dg = weight_norm_backward_(dw, t[1], t[2], l2_norm(t[1]));
                             return Tensors{dw, dg, l2_norm(t[1])};
                           },
                           1e-5, 2e-2};
  for (const Shape& shape : {Shape{1, 2}, Shape{0, 5}, Shape{7, 17}, Shape{300, 256}})
    test::check_case(c, {rng.normal(shape, 0, 1, DType::f64), rng.normal(shape, 0, 1, DType::f64),
                         rng.uniform({shape[0], 1}, 0.5, 1.5, DType::f64)});

  const test::KernelCase forward{"weight_norm",
                                 [](const Tensors& t) {
                                   const WeightNorm out = weight_norm(t[0], t[1], t[0].dtype());
                                   return Tensors{out.w, out.norm};
                                 },
                                 1e-5, 2e-2};
  for (const Shape& shape : {Shape{1, 2}, Shape{0, 5}, Shape{7, 17}, Shape{300, 256}})
    test::check_case(forward, {rng.normal(shape, 0, 1, DType::f64), rng.uniform({shape[0], 1}, 0.5, 1.5, DType::f64)});

  const Tensor v = rng.normal({3, 6}, 0, 1, DType::f64), g = rng.uniform({3, 1}, 0.5, 1.5, DType::f64);
  const Tensor dw = rng.normal({3, 6}, 0, 1, DType::f64);
  const Tensors got = c.run({dw, v, g});
  const auto of_v = [&](const Tensor& t) { return mul(l2_normalize(t).y, g); };
  CHECK(test::max_difference(got[0], numeric_gradient(v, dw, of_v)) < 1e-8);
  CHECK(test::max_difference(got[1], sum(mul(dw, l2_normalize(v).y), {1}, true)) < 1e-13);
  CHECK(test::max_difference(got[2], l2_normalize(v).norm) == 0);
  CHECK(test::max_difference(weight_norm(v, g, DType::f64).w, mul(l2_normalize(v).y, g)) < 1e-14);
  const Tensor v32 = v.to(DType::f32);  // rounded once
  CHECK(test::max_difference(weight_norm(v32, g, DType::bf16).w, weight_norm(v32, g, DType::f32).w.to(DType::bf16)) ==
        0);
}

TEST_CASE("layer_norm reads f32 and writes bf16") {
  const Inputs in(Shape{5, 96});
  const Tensor x = in.x.to(DType::f32), weight = in.weight.to(DType::f32), bias = in.bias.to(DType::f32);
  const LayerNormOut out = layer_norm(x, weight, bias, kEps, DType::bf16);
  CHECK(out.y.dtype() == DType::bf16);
  CHECK(test::same_bits({out.y}, {layer_norm(x, weight, bias, kEps).y.to(DType::bf16)}));
  const Tensor dy = in.dy.to(DType::bf16);
  const NormGrads g = layer_norm_backward(dy, x, weight, out.mean, out.rstd);
  CHECK(g.x.dtype() == DType::f32);
  CHECK(test::same_bits({g.x, g.weight, g.bias},
                        all(layer_norm_backward(dy.to(DType::f32), x, weight, out.mean, out.rstd))));
}

TEST_CASE("constant and zero rows stay finite") {
  const Tensor x = full({2, 8}, 1000.1), one = ones({8}), zero = zeros({8});
  const LayerNormOut out = layer_norm(x, one, zero, kEps);
  CHECK(test::max_difference(out.y, zeros({2, 8})) < 0.1);
  CHECK(all_finite(layer_norm_backward(ones({2, 8}), x, one, out.mean, out.rstd).x));
  const L2NormOut l2 = l2_normalize(zeros({2, 8}));
  CHECK(test::max_difference(l2.y, zeros({2, 8})) == 0);
  CHECK(l2_normalize_backward(ones({2, 8}), l2.y, l2.norm, 1e-3).to_vector()[0] == doctest::Approx(1e3));
}

TEST_CASE("normalisation says what does not fit") {
  const Tensor x = zeros({2, 3});
  CHECK_THROWS_WITH_AS(layer_norm(x, ones({4}), zeros({3}), kEps), doctest::Contains("weight is [4], it must be [3]"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(layer_norm(x, ones({3}), {}, kEps), doctest::Contains("bias is undefined"), ShapeError);
  CHECK_THROWS_WITH_AS(batch_norm_train(zeros({2, 3, 4}), ones({3}), zeros({3}), kEps),
                       doctest::Contains("[B, C, H, W] or [B, C]"), ShapeError);
  CHECK_THROWS_WITH_AS(batch_norm_train(zeros({0, 3}), ones({3}), zeros({3}), kEps),
                       doctest::Contains("no elements to average"), ShapeError);
  Tensor dw = zeros({2, 3});
  CHECK_THROWS_WITH_AS(weight_norm_backward_(dw, zeros({3, 2}), ones({3, 1}), ones({3})),
                       doctest::Contains("dw is f32 [2, 3], v is f32 [3, 2]"), ShapeError);
  CHECK_THROWS_WITH_AS(rms_norm_backward(zeros({3, 2}), x, ones({3}), ones({2})),
                       doctest::Contains("dy is [3, 2], x is [2, 3]"), ShapeError);
}

}  // namespace vitrail
