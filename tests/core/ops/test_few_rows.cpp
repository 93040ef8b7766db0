// Products of a few rows with matrices of weights, in bf16 and in 8 bits.
#include "tests/core/ops/kernel_case.h"
#include "tests/support/messages.h"
#include "vitrail/core/ops/int8.h"
#include "vitrail/core/reference/matmul.h"

#include <cmath>

namespace vitrail::core {
namespace {

using test::check_refused;
using test::Threads;

/// Whole numbers from -largest to largest, f64: sums of their products are exact in f32.
Tensor whole_numbers(const Shape& shape, int64_t largest, uint64_t stream) {
  Rng rng(11, stream);
  Tensor t = Tensor::empty(shape, DType::f64);
  for (double& v : t.span<double>()) v = double(rng.below(2 * largest + 1) - largest);
  return t;
}

/// x w' + bias in f64.
Tensor exact_linear(const Tensor& x, const Tensor& w, const Tensor& bias) {
  Tensor y = reference::matmul(x, w.transpose(0, 1));
  for (int64_t i = 0; bias.defined() && i < y.numel(); ++i)
    y.data<double>()[i] += bias.data<double>()[i % bias.numel()];
  return y;
}

/// A scale of 1 for every group of 32 inputs of a row: its largest element is 127.
void put_largest(Tensor& t) {
  for (int64_t i = 0; i < t.size(0); ++i)
    for (int64_t l = 0; l < t.size(1); l += 32) t.data<double>()[i * t.size(1) + l] = 127;
}

double mean_square(const Tensor& t) {
  double total = 0;
  for (const double v : t.to_vector()) total += v * v;
  return total / double(t.numel());
}

constexpr int64_t kInputs[] = {1, 7, 16, 31, 32, 33, 64, 100, 257}, kOutputs[] = {1, 3, 4, 17, 64, 700};

}  // namespace

TEST_CASE("a few rows times bf16 weights are exact for whole numbers") {
  uint64_t stream = 0;
  for (int64_t rows = 1; rows <= 9; ++rows)  // 9: the other kernel
    for (const int64_t k : kInputs)
      for (const int64_t n : kOutputs) {
        CAPTURE(rows);
        CAPTURE(k);
        CAPTURE(n);
        const Tensor x = whole_numbers({rows, k}, 8, ++stream), w = whole_numbers({n, k}, 8, ++stream);
        const Tensor bias = stream % 4 ? whole_numbers({n}, 8, ++stream) : Tensor();
        const Tensor expected = exact_linear(x, w, bias);
        const Tensor b = bias.defined() ? bias.to(DType::f32) : bias;
        const Tensor weight = w.to(DType::bf16), bf16_x = x.to(DType::bf16);
        CHECK(test::max_difference(linear(bf16_x, weight, b, DType::f32), expected) == 0);
        CHECK(test::max_difference(linear(bf16_x, weight, b), expected.to(DType::bf16)) == 0);
        CHECK(test::max_difference(linear(x.to(DType::f32), weight, b), expected) == 0);
        // Rows with gaps between them.
        const Tensor apart = concat({weight, zeros({n, 5}, DType::bf16)}, 1).slice(1, 0, k);
        CHECK(test::max_difference(linear(bf16_x, apart, b, DType::f32), expected) == 0);
      }
}

TEST_CASE("a few rows give the same bits on any number of threads, whatever the other rows are") {
  const Tensor x = Rng(1, 1).normal({8, 300}, 0, 1).to(DType::bf16);
  const Tensor w = Rng(1, 2).normal({2003, 300}, 0, 1), w16 = w.to(DType::bf16);
  const Int8Matrix w8 = quantize_int8(w);
  const auto run = [&](const Tensor& rows) {
    return test::Tensors{linear(rows, w16, {}, DType::f32), linear(rows, w8, {}, DType::f32)};
  };
  const auto on = [&](int threads, const Tensor& rows) {
    const Threads scope(threads);
    return run(rows);
  };
  const test::Tensors one = on(1, x);
  CHECK(test::same_bits(one, on(2, x)));
  CHECK(test::same_bits(one, on(3, x)));
  for (int64_t row = 0; row < 8; ++row) {
    const test::Tensors alone = on(2, x.slice(0, row, row + 1));
    CHECK(test::same_bits(alone, {one[0].slice(0, row, row + 1), one[1].slice(0, row, row + 1)}));
  }
}

TEST_CASE("int8 weights are off by at most half a scale, and exact where the scale is 1") {
  for (const Shape& shape : {Shape{1, 1}, {3, 7}, {16, 32}, {17, 33}, {40, 100}, {300, 172}}) {
    CAPTURE(shape);
    Tensor whole = whole_numbers(shape, 127, 5);
    put_largest(whole);
    for (const DType in : {DType::f32, DType::bf16})
      for (const DType out : {DType::f32, DType::bf16})
        CHECK(test::max_difference(dequantize(quantize_int8(whole.to(in)), out), whole) == 0);

    const Tensor w = Rng(2, 3).normal(shape, 0, 0.02), back = dequantize(quantize_int8(w), DType::f32);
    for (int64_t i = 0; i < shape[0]; ++i)
      for (int64_t l = 0; l < shape[1]; l += 32) {
        const int64_t end = std::min(l + 32, shape[1]);
        float largest = 0, error = 0;
        for (int64_t k = l; k < end; ++k) {
          const float v = w.data<float>()[i * shape[1] + k];
          largest = std::max(largest, std::abs(v));
          error = std::max(error, std::abs(v - back.data<float>()[i * shape[1] + k]));
        }
        CHECK(error <= 0.5f * 1.008f * largest / 127);
      }
  }
  const Int8Matrix size = quantize_int8(zeros({64, 320}));
  CHECK(size.nbytes() == 64 * 320 + 2 * 64 * 320 / 32);
  CHECK(test::max_difference(dequantize(size, DType::f32), zeros({64, 320})) == 0);
}

TEST_CASE("products with int8 weights are exact for whole numbers") {
  uint64_t stream = 500;
  for (int64_t rows = 1; rows <= 9; ++rows)  // 9: dequantized
    for (const int64_t k : kInputs)
      for (const int64_t n : kOutputs) {
        CAPTURE(rows);
        CAPTURE(k);
        CAPTURE(n);
        Tensor x = whole_numbers({rows, k}, 127, ++stream), w = whole_numbers({n, k}, 127, ++stream);
        put_largest(x);
        put_largest(w);
        const Tensor bias = stream % 4 ? whole_numbers({n}, 8, ++stream) : Tensor();
        const Tensor expected = exact_linear(x, w, bias);
        const Tensor b = bias.defined() ? bias.to(DType::f32) : bias;
        const Int8Matrix weight = quantize_int8(w.to(DType::f32));
        CHECK(test::max_difference(linear(x.to(DType::f32), weight, b), expected) == 0);
        CHECK(test::max_difference(linear(x.to(DType::bf16), weight, b, DType::f32), expected) == 0);
        CHECK(test::max_difference(linear(x.to(DType::bf16), weight, b), expected.to(DType::bf16)) == 0);
      }
}

TEST_CASE("int8 products are near those of the weights") {
  const Tensor w = Rng(3, 1).normal({512, 2048}, 0, 0.02);
  const Int8Matrix weight = quantize_int8(w);
  for (const int64_t rows : {1, 3, 8, 20}) {
    CAPTURE(rows);
    const Tensor x = Rng(3, uint64_t(rows)).normal({rows, 2048}, 0, 1);
    const Tensor expected = exact_linear(x.to(DType::f64), w.to(DType::f64), {});
    const Tensor error = sub(linear(x, weight, {}).to(DType::f64), expected);
    // A scale is about 2.1 deviations / 127, so the rounding of one side adds 0.5%.
    CHECK(std::sqrt(mean_square(error) / mean_square(expected)) < (rows > 8 ? 0.006 : 0.0085));
  }
}

TEST_CASE("int8 products keep shapes, pass on NaN and refuse what they cannot hold") {
  const Int8Matrix w = quantize_int8(Rng(3, 1).normal({5, 40}, 0, 1));
  CHECK(linear(zeros({2, 3, 40}), w, {}).shape() == Shape{2, 3, 5});
  CHECK(linear(zeros({40}), w, {}).shape() == Shape{5});
  CHECK(linear(zeros({0, 40}), w, {}).shape() == Shape{0, 5});
  CHECK(linear(zeros({2, 40}, DType::bf16), w, {}).dtype() == DType::bf16);
  for (const float bad : {float(NAN), float(INFINITY)}) {
    Tensor x = ones({2, 40});
    x.data<float>()[45] = bad;
    const Tensor y = linear(x, w, {});
    for (int64_t j = 0; j < 5; ++j) {
      CHECK(std::isfinite(y.data<float>()[j]));
      CHECK_FALSE(std::isfinite(y.data<float>()[5 + j]));
    }
    Tensor weight = ones({3, 40});
    weight.data<float>()[90] = bad;
    check_refused([&] { quantize_int8(weight); }, "weight [3, 40] has an element in row 2 that is not finite");
  }
  check_refused([&] { quantize_int8(zeros({3, 4}, DType::f64)); }, "weight is f64 [3, 4]; needs f32 or bf16");
  check_refused([&] { quantize_int8(zeros({3})); }, "weight is f32 [3]");
  check_refused([&] { linear(zeros({2, 39}), w, {}); }, "x is f32 [2, 39], weight is int8 [5, 40]");
  check_refused([&] { linear(zeros({2, 40}, DType::f64), w, {}); }, "x is f64 [2, 40]");
  check_refused([&] { linear(zeros({2, 40}), w, zeros({4})); }, "bias is [4], weight is int8 [5, 40]");
  check_refused([&] { dequantize(w, DType::f64); }, "gives f32 or bf16, not f64");
}

}  // namespace vitrail::core
