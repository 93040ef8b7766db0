#include "tests/core/ops/kernel_case.h"
#include "vitrail/core/error.h"
#include "vitrail/core/isa.h"
#include "vitrail/core/kernels/table.h"
#include "vitrail/core/reference/elementwise.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <sstream>

namespace vitrail {
namespace {

using core::add, core::affine, core::div, core::mul, core::sub, core::where;
using test::KernelCase, test::Tensors;

/// Applies fn to a copy of a and returns the copy.
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
    {{"maximum", [](const Tensors& x) { return Tensors{core::maximum(x[0], x[1])}; }},
     [](double a, double b) { return std::max(a, b); }},
    {{"minimum", [](const Tensors& x) { return Tensors{core::minimum(x[0], x[1])}; }},
     [](double a, double b) { return std::min(a, b); }},
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
  for (Binary op : kBinary) {
    op.kernel.definition = [&](const Tensors& x) { return Tensors{reference::map2(x[0], x[1], op.expected)}; };
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
      {"affine_", [](const Tensors& x) { return changed(x[0], [&](Tensor& a) { core::affine_(a, -2, 0.5); }); }},
      {"mul_", [](const Tensors& x) { return changed(x[0], [&](Tensor& a) { core::mul_(a, x[1]); }); }},
      {"div_",
       [](const Tensors& x) { return changed(x[0], [&](Tensor& a) { core::div_(a, core::affine(x[1], 0.1, 2)); }); }},
      {"masked_fill", [](const Tensors& x) { return Tensors{core::masked_fill(x[0], x[2], 0.5)}; }},
      {"div by a scalar", [](const Tensors& x) { return Tensors{div(x[0], 3.0)}; }},
      {"maximum_backward", [](const Tensors& x) { return Tensors{core::maximum_backward(x[0], x[1], x[0])}; }},
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

TEST_CASE("operators on tensors and scalars, found without a prefix") {
  const Tensor a = tensor<float>({1, 2, 4}, {3}), b = tensor<float>({2, 2, 0.5}, {3});
  const auto list = [](const Tensor& t) { return t.to_vector(); };
  using Values = std::vector<double>;
  CHECK(list(a + b) == Values{3, 4, 4.5});
  CHECK(list(a - b) == Values{-1, 0, 3.5});
  CHECK(list(a * b) == Values{2, 4, 2});
  CHECK(list(a / b) == Values{0.5, 1, 8});
  CHECK(list(1.0 - a) == Values{0, -1, -3});
  CHECK(list(2 * a + 1) == Values{3, 5, 9});
  CHECK(list(1.0 / a) == Values{1, 0.5, 0.25});
  CHECK(list(a / 2.0 - 1.0) == Values{-0.5, 0, 1});
  CHECK(list(-a) == Values{-1, -2, -4});
  CHECK(list(3.0 + a) == Values{4, 5, 7});
  CHECK(exp(a * 0.0).to_vector() == Values{1, 1, 1});
  CHECK(sum(a, 0).item() == 7);
  CHECK((a.to(DType::bf16) / 3.0).dtype() == DType::bf16);
  CHECK((full({1}, 5) / 3.0).item() == double(5.0f / 3.0f));  // a division, not a product with 1/3

  Tensor c = a.clone();
  c += b;
  c -= 1;
  c *= 2;
  c /= b;
  CHECK(list(c) == Values{2, 3, 14});
  c *= c;
  CHECK(list(c) == Values{4, 9, 196});
  CHECK_THROWS_AS(a + zeros({3}, DType::bf16), ShapeError);
}

TEST_CASE("comparisons give u8 in any element type") {
  const Tensor a = tensor<float>({1, 2, std::nanf("")}, {3}), b = tensor<float>({2, 2, 2}, {3});
  const auto list = [](const Tensor& t) { return t.to_vector(); };
  using Values = std::vector<double>;
  CHECK((a < b).dtype() == DType::u8);
  CHECK(list(a < b) == Values{1, 0, 0});
  CHECK(list(a <= b) == Values{1, 1, 0});
  CHECK(list(a > b) == Values{0, 0, 0});
  CHECK(list(a >= b) == Values{0, 1, 0});
  CHECK(list(eq(a, b)) == Values{0, 1, 0});
  CHECK(list(ne(a, b)) == Values{1, 0, 1});
  CHECK(list(a > 1.5) == Values{0, 1, 0});
  CHECK(list(1.5 > a) == Values{1, 0, 0});
  CHECK(list(eq(a, 2)) == Values{0, 1, 0});
  CHECK(list(eq(tensor<int64_t>({(int64_t{1} << 53) + 1, 3}, {2}), tensor<int64_t>({int64_t{1} << 53, 3}, {2}))) ==
        Values{0, 1});
  CHECK(list(arange(4) >= 1.5) == Values{0, 0, 1, 1});
  CHECK((zeros({4, 1}) < ones({3})).shape() == Shape{4, 3});
  CHECK(list(full({2}, 0.1) >= 0.1) == Values{1, 1});  // the scalar is taken in f32
  CHECK_THROWS_WITH_AS(eq(a, arange(3)), doctest::Contains("[eq] a is f32, b is i64"), ShapeError);
}

TEST_CASE("the larger of two, its ties and NaN") {
  const Tensor a = tensor<float>({1, 2, std::nanf(""), 0}, {4}), b = tensor<float>({2, 2, 2, std::nanf("")}, {4});
  CHECK(std::isnan(maximum(a, b).to_vector()[2]));
  CHECK(std::isnan(minimum(a, b).to_vector()[3]));
  CHECK(core::maximum_backward(ones({4}), a, b).to_vector()[1] == 0.5);
  CHECK(core::maximum_backward(ones({4}), b, a).to_vector()[0] == 1);
}

TEST_CASE("in-place arithmetic reads a view of its target before it writes") {
  Tensor a = arange(12, DType::f32).reshape({3, 4});
  a += a[0];
  CHECK(a.to_vector() == std::vector<double>{0, 2, 4, 6, 4, 6, 8, 10, 8, 10, 12, 14});
  Tensor square = arange(4, DType::f32).reshape({2, 2});
  square += square.transpose(0, 1);
  CHECK(square.to_vector() == std::vector<double>{0, 3, 3, 6});
}

TEST_CASE("an element by its index, and printing") {
  const Tensor t = arange(6, DType::f32).reshape({2, 3});
  CHECK(t[1].to_vector() == std::vector<double>{3, 4, 5});
  CHECK(t[-1][0].item() == 3);
  CHECK_THROWS_AS(t[2], ShapeError);
  const auto printed = [](const Tensor& x) {
    std::stringstream out;
    out << x;
    return out.str();
  };
  CHECK(printed(t * 10.0) == "[[ 0, 10, 20],\n [30, 40, 50]] f32 [2, 3]");
  CHECK(printed(scalar(0.25)) == "0.25 f32 []");
  CHECK(printed(Tensor()) == "undefined");
  CHECK(printed(zeros({0, 2})) == "[] f32 [0, 2]");
  CHECK(printed(arange(2000)) == "[   0,    1,    2, ..., 1997, 1998, 1999] i64 [2000]");
  CHECK(printed(zeros({100, 20, 1})).find("...") != std::string::npos);
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
  CHECK((isa == "x86-64-v3" || isa == "x86-64-v4" || isa == "x86-64-v4-bf16" || isa == "x86-64-v4-amx"));
  if (asked) CHECK(isa == asked);
}

}  // namespace vitrail
