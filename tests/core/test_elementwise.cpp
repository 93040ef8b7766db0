#include "tests/core/kernel_case.h"
#include "vitrail/core/error.h"
#include "vitrail/core/isa.h"
#include "vitrail/core/kernels/table.h"

#include <cstdlib>

namespace vitrail {
namespace {

using core::add, core::affine, core::div, core::mul, core::sub, core::where;
using test::KernelCase, test::Tensors;

/// What fn(a copy of a) leaves in it.
template <class F>
Tensors changed(const Tensor& a, F&& fn) {
  Tensor copy = a.clone();
  fn(copy);
  return {copy};
}

struct Binary {
  KernelCase kernel;
  double (*expected)(double a, double b);
};

const std::vector<Binary> kBinary = {
    {{"add", [](const Tensors& x) { return Tensors{add(x[0], x[1])}; }}, [](double a, double b) { return a + b; }},
    {{"sub", [](const Tensors& x) { return Tensors{sub(x[0], x[1])}; }}, [](double a, double b) { return a - b; }},
    {{"mul", [](const Tensors& x) { return Tensors{mul(x[0], x[1])}; }}, [](double a, double b) { return a * b; }},
    {{"div", [](const Tensors& x) { return Tensors{div(x[0], x[1])}; }}, [](double a, double b) { return a / b; }},
};

}  // namespace

TEST_CASE("arithmetic agrees with the reference on every pair of shapes") {
  const std::vector<std::pair<Shape, Shape>> broadcasts = {{{2, 3}, {3}},
                                                           {{3}, {2, 3}},
                                                           {{4, 1, 5}, {3, 1}},
                                                           {{}, {7}},
                                                           {{0, 3}, {3}},
                                                           {{2, 1, 3}, {1, 0, 1}},
                                                           {{2, 3, 4, 5}, {3, 1, 1}},
                                                           {{1}, {1, 1, 1}},
                                                           {{33, 600}, {600}},
                                                           {{2, 3, 2, 3, 2, 3}, {3, 1, 3}}};
  Rng rng(1, "elementwise");
  for (const Binary& op : kBinary) {
    for (const Shape& shape : test::kShapes)
      test::check_case(op.kernel, {rng.normal(shape, 0, 1, DType::f64), rng.uniform(shape, 0.5, 2, DType::f64)});
    for (const auto& [a, b] : broadcasts)
      test::check_case(op.kernel, {rng.normal(a, 0, 1, DType::f64), rng.uniform(b, 0.5, 2, DType::f64)});
    const Tensor a = tensor<double>({1, -2, 3}, {3}), b = tensor<double>({0.5, 4, -8}, {3});
    const auto result = op.kernel.run({a, b})[0].to_vector();
    for (size_t i = 0; i < 3; ++i) CHECK(result[i] == op.expected(a.to_vector()[i], b.to_vector()[i]));
  }
}

TEST_CASE("affine, where and the in-place forms agree with the reference") {
  const std::vector<KernelCase> cases = {
      {"affine", [](const Tensors& x) { return Tensors{affine(x[0], -1.5, 0.25)}; }},
      {"add_", [](const Tensors& x) { return changed(x[0], [&](Tensor& a) { core::add_(a, x[1], -0.5); }); }},
      {"scale_", [](const Tensors& x) { return changed(x[0], [&](Tensor& a) { core::scale_(a, 3); }); }},
      {"lerp_", [](const Tensors& x) { return changed(x[0], [&](Tensor& a) { core::lerp_(a, x[1], 0.1); }); }},
      {"where", [](const Tensors& x) { return Tensors{where(x[2], x[0], x[1])}; }},
  };
  Rng rng(2, "elementwise");
  for (const KernelCase& c : cases)
    for (const Shape& shape : test::kShapes)
      test::check_case(c, {rng.normal(shape, 0, 1, DType::f64), rng.normal(shape, 0, 1, DType::f64),
                           rng.bernoulli(shape, 0.5, DType::u8)});
  CHECK(affine(tensor<double>({1, 2}, {2}), 3, -1).to_vector() == std::vector<double>{2, 5});
  const Tensor mask = tensor<uint8_t>({1, 0}, {2, 1});
  CHECK(where(mask, tensor<float>({1, 2}, {2}), scalar(9)).to_vector() == std::vector<double>{1, 2, 9, 9});
}

TEST_CASE("in-place arithmetic writes through a view") {
  Tensor table = zeros({3, 4});
  Tensor column = table.select(1, 2);
  core::add_(column, tensor<float>({1, 2, 3}, {3}), 2);
  core::scale_(column, 0.5);
  core::lerp_(column, scalar(0), 0.5);
  CHECK(table.to_vector() == std::vector<double>{0, 0, .5, 0, 0, 0, 1, 0, 0, 0, 1.5, 0});
}

TEST_CASE("an f32 target takes a bf16 addend") {
  Tensor total = ones({3});
  core::add_(total, full({3}, 0.001, DType::bf16));
  CHECK(total.to_vector()[0] == doctest::Approx(1.001).epsilon(1e-5));
}

TEST_CASE("arithmetic says what does not fit") {
  Tensor a = zeros({2, 3});
  CHECK_THROWS_WITH_AS(add(a, zeros({2, 4})), doctest::Contains("[add]"), ShapeError);
  CHECK_THROWS_WITH_AS(add(a, zeros({2, 3}, DType::bf16)), doctest::Contains("a is f32, b is bf16"), ShapeError);
  CHECK_THROWS_WITH_AS(add(arange(3), arange(3)), doctest::Contains("[add]"), ShapeError);
  CHECK_THROWS_WITH_AS(core::add_(a, zeros({4, 2, 3})), doctest::Contains("does not broadcast to a [2, 3]"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(where(a, a, a), doctest::Contains("mask is f32, it must be u8"), ShapeError);
}

TEST_CASE("the instruction set can be asked for") {
  const std::string isa = vitrail::isa();
  const char* asked = std::getenv("VITRAIL_ISA");
  CHECK((isa == "x86-64-v3" || isa == "x86-64-v4" || isa == "x86-64-v4-bf16"));
  if (asked) CHECK(isa == asked);
}

}  // namespace vitrail
