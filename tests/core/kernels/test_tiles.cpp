#include "vitrail/core/kernels/gemm.h"
#include "vitrail/core/kernels/loops/tiles.h"
#include "vitrail/core/rng.h"
#include "vitrail/core/tensor.h"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

namespace vitrail {
namespace {

struct Case {
  int64_t m, n, k;
};
// Edges in every direction: rows, columns and steps that are, or are not, multiples of 16 and 32.
constexpr Case kCases[] = {{1, 1, 1},    {1, 16, 32}, {16, 16, 32},   {17, 31, 33},  {32, 32, 64},  {33, 33, 31},
                           {40, 48, 96}, {64, 80, 2}, {197, 197, 64}, {65, 64, 197}, {300, 70, 50}, {257, 96, 129}};

/// Small whole numbers: every sum of their products is exact in f32.
std::vector<bf16> numbers(int64_t count, uint64_t stream) {
  std::vector<bf16> values(static_cast<size_t>(count));
  const std::vector<double> drawn = Rng(3, stream).uniform({count}, -4, 4).to_vector();
  for (size_t i = 0; i < values.size(); ++i) values[i] = bf16(float(int(drawn[i])));
  return values;
}

struct Product {
  Case size;
  std::vector<bf16> a = numbers(size.m * size.k, 1), b = numbers(size.k * size.n, 2), bias = numbers(size.n, 3);

  float expected(int64_t i, int64_t j) const {
    float total = 0;
    for (int64_t l = 0; l < size.k; ++l) total += float(a[size_t(i * size.k + l)]) * float(b[size_t(l * size.n + j)]);
    return total;
  }
};

int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }
std::vector<bf16> transposed(const std::vector<bf16>& x, int64_t rows, int64_t columns) {
  std::vector<bf16> y(x.size());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) y[size_t(j * rows + i)] = x[size_t(i * columns + j)];
  return y;
}

/// x [k, n] packed from its rows, or from its columns. width: see PackTask.
std::vector<bf16> packed(const kernels::Gemm<bf16>& kernel, const std::vector<bf16>& x, int64_t k, int64_t n,
                         bool by_rows, int64_t width) {
  const int64_t steps = kernel.steps(k);
  std::vector<bf16> y(size_t(steps * 2 * padded(n)));
  const std::vector<bf16> columns = transposed(x, k, n);
  const kernels::PackTask<bf16> task{.k = k,
                                     .n = n,
                                     .x = by_rows ? x.data() : columns.data(),
                                     .x_stride = by_rows ? n : k,
                                     .y = y.data(),
                                     .steps = steps,
                                     .width = width};
  by_rows ? kernel.pack_rows(task) : kernel.pack_columns(task);
  return y;
}
std::vector<bf16> packed_b(const kernels::Gemm<bf16>& kernel, const Product& p, bool by_rows) {
  return packed(kernel, p.b, p.size.k, p.size.n, by_rows, 0);
}
/// a as one panel: its transpose, packed.
std::vector<bf16> packed_a(const kernels::Gemm<bf16>& kernel, const Product& p, bool by_rows) {
  return packed(kernel, transposed(p.a, p.size.m, p.size.k), p.size.k, p.size.m, by_rows, padded(p.size.m));
}

/// The model of the unit; the kernel of this machine, if its first factors have their rows together.
std::vector<const kernels::Gemm<bf16>*> units() {
  static constexpr kernels::Gemm<bf16> kModel = loops::make_tile_gemm<loops::ModelUnit>();
  std::vector<const kernels::Gemm<bf16>*> all{&kModel};
  if (const auto* best = kernels::gemm<bf16>(); best && best->rows_together) all.push_back(best);
  return all;
}

}  // namespace

TEST_CASE("products on tiles are exact for whole numbers, at every edge") {
  for (const kernels::Gemm<bf16>* kernel : units())
    for (const Case& size : kCases)
      for (bool by_rows : {true, false}) {
        CAPTURE(size.m);
        CAPTURE(size.n);
        CAPTURE(size.k);
        CAPTURE(by_rows);
        const Product p{size};
        const int64_t steps = kernel->steps(size.k), c_row = size.n + 3;
        const std::vector<bf16> a = packed_a(*kernel, p, by_rows), b = packed_b(*kernel, p, by_rows);
        const kernels::Strides strides = kernel->packed(padded(size.m), steps);
        std::vector<float> bias(size_t(padded(size.n))), c(size_t(size.m * c_row), 0.5f);
        for (int64_t j = 0; j < size.n; ++j) bias[size_t(j)] = float(p.bias[size_t(j)]);
        kernels::GemmTask<bf16, float> task{.m = size.m,
                                            .n = size.n,
                                            .steps = steps,
                                            .a = a.data(),
                                            .a_row = strides.row,
                                            .a_step = strides.step,
                                            .b = b.data(),
                                            .c = c.data(),
                                            .c_row = c_row,
                                            .bias = bias.data(),
                                            .add = false};
        kernel->multiply(task);
        task.bias = nullptr, task.add = true;
        kernel->multiply(task);
        std::vector<bf16> narrow(c.size(), bf16(0.5f));
        kernel->multiply_narrow({.m = size.m,
                                 .n = size.n,
                                 .steps = steps,
                                 .a = a.data(),
                                 .a_row = strides.row,
                                 .a_step = strides.step,
                                 .b = b.data(),
                                 .c = narrow.data(),
                                 .c_row = c_row,
                                 .bias = bias.data(),
                                 .add = false});
        int64_t wrong = 0, touched = 0;
        for (int64_t i = 0; i < size.m; ++i)
          for (int64_t j = 0; j < c_row; ++j) {
            const size_t at = size_t(i * c_row + j);
            if (j >= size.n) {
              touched += c[at] != 0.5f || float(narrow[at]) != 0.5f;
              continue;
            }
            const float product = p.expected(i, j), once = product + bias[size_t(j)];
            wrong += c[at] != once + product || float(narrow[at]) != float(bf16(once));
          }
        CHECK(wrong == 0);
        CHECK(touched == 0);
      }
}

TEST_CASE("a product on tiles reads a first factor in place, and nothing behind it") {
  const Product p{{19, 20, 38}};
  for (const kernels::Gemm<bf16>* kernel : units()) {
    // Rows with a gap; values in the gap and behind the last row would make the sums NaN.
    const int64_t row = 50;
    std::vector<bf16> a(size_t(18 * row + 38), bf16(std::numeric_limits<float>::quiet_NaN()));
    for (int64_t i = 0; i < 19; ++i)
      for (int64_t l = 0; l < 38; ++l) a[size_t(i * row + l)] = p.a[size_t(i * 38 + l)];
    const std::vector<bf16> b = packed_b(*kernel, p, true);
    std::vector<float> c(19 * 20);
    kernel->multiply({.m = 19,
                      .n = 20,
                      .steps = 19,
                      .a = a.data(),
                      .a_row = row,
                      .a_step = 2,
                      .b = b.data(),
                      .c = c.data(),
                      .c_row = 20,
                      .bias = nullptr,
                      .add = false});
    int64_t wrong = 0;
    for (int64_t i = 0; i < 19; ++i)
      for (int64_t j = 0; j < 20; ++j) wrong += c[size_t(i * 20 + j)] != p.expected(i, j);
    CHECK(wrong == 0);
  }
}

}  // namespace vitrail
