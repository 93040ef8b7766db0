// Products of bf16 matrices on a matrix unit: eight registers of 16 rows by 64 bytes, called tiles (Intel AMX). Each
// kernel is a template over the unit. A plain C++ model of the unit runs the same code on every machine.
#pragma once

#include "vitrail/core/kernels/loops/gemm.h"
#include "vitrail/core/kernels/loops/rows.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace vitrail::loops {
inline namespace VITRAIL_ISA {

// A tile of c has 16 x 16 sums. A tile of a has 16 rows of 16 steps; a tile of b has 16 steps of 16 columns.
inline constexpr int64_t kTile = 16, kTileDepth = kTile * kernels::kGemmStep<bf16>;
inline constexpr int64_t kTilePanel = 2 * kTile;  // columns of a panel of b, and rows of a that meet it at once

// The tiles of a product: sums (row, column) of 2 x 2 tiles, then two of a, two of b.
constexpr int sum_tile(int row, int column) { return 2 * row + column; }
constexpr int a_tile(int row) { return 4 + row; }
constexpr int b_tile(int column) { return 6 + column; }

/// How many rows each tile has; all rows have 64 bytes. The layout is the one that the processor reads.
struct TileShapes {
  alignas(64) std::array<uint8_t, 64> bytes = {1};  // palette 1

  /// For products with `rows` rows, 1 to 32.
  explicit TileShapes(int64_t rows) {
    for (size_t tile = 0; tile < 8; ++tile) {
      bytes[16 + 2 * tile] = 64;
      bytes[48 + tile] = uint8_t(kTile);
    }
    for (int row = 0; row < 2; ++row) {
      const auto height = uint8_t(std::clamp<int64_t>(rows - row * kTile, 1, kTile));
      for (const int tile : {sum_tile(row, 0), sum_tile(row, 1), a_tile(row)}) bytes[48 + size_t(tile)] = height;
    }
  }
};

/// The unit in plain C++. Strides are in bytes.
class ModelUnit {
 public:
  void configure(const TileShapes& shapes) {
    for (size_t t = 0; t < 8; ++t) rows_[t] = shapes.bytes[48 + t];
  }
  void release() {}
  template <int T>
  void zero() {
    tiles_[T] = {};
  }
  template <int T>
  void load(const void* x, int64_t stride) {
    tiles_[T] = {};
    for (int64_t i = 0; i < rows_[T]; ++i)
      std::memcpy(&tiles_[T][size_t(i * 16)], static_cast<const std::byte*>(x) + i * stride, 64);
  }
  template <int T>
  void store(void* x, int64_t stride) const {
    for (int64_t i = 0; i < rows_[T]; ++i)
      std::memcpy(static_cast<std::byte*>(x) + i * stride, &tiles_[T][size_t(i * 16)], 64);
  }
  /// C += A B: C [rows, 16] f32, A [rows, 32] bf16, B [16, 16, 2] bf16.
  template <int C, int A, int B>
  void multiply() {
    const auto value = [](uint32_t pair, int half) {
      return std::bit_cast<float>(half == 0 ? pair << 16 : pair & 0xffff0000u);
    };
    for (size_t i = 0; i < size_t(rows_[C]); ++i)
      for (size_t j = 0; j < 16; ++j) {
        float total = std::bit_cast<float>(tiles_[C][i * 16 + j]);
        for (size_t step = 0; step < 16; ++step)
          for (int half = 0; half < 2; ++half)
            total += value(tiles_[A][i * 16 + step], half) * value(tiles_[B][step * 16 + j], half);
        tiles_[C][i * 16 + j] = std::bit_cast<uint32_t>(total);
      }
  }

 private:
  std::array<std::array<uint32_t, 256>, 8> tiles_ = {};
  std::array<int64_t, 8> rows_ = {};
};

#if defined(__AMX_BF16__) || defined(__AMXBF16__)  // g++, clang 14
/// The unit of the processor.
struct AmxUnit {
  static void configure(const TileShapes& shapes) { asm volatile("ldtilecfg %0" ::"m"(shapes.bytes)); }
  static void release() { asm volatile("tilerelease" ::: "memory"); }
  template <int T>
  static void zero() {
    asm volatile("tilezero %%tmm%c0" ::"n"(T));
  }
  template <int T>
  static void load(const void* x, int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(x), "r"(stride), "n"(T) : "memory");
  }
  template <int T>
  static void store(void* x, int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(x), "r"(stride), "n"(T) : "memory");
  }
  template <int C, int A, int B>
  static void multiply() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"n"(C), "n"(A), "n"(B));
  }
};
#endif

/// The last steps of 32 rows of a where steps is not a multiple of 16, filled with zeros to whole tiles.
struct TileEdge {
  alignas(64) bf16 a[kTilePanel * kTileDepth];

  template <class Out>
  void fill(const kernels::GemmTask<bf16, Out>& t, int64_t row, int64_t rows) {
    const int64_t whole = t.steps / kTile * kTileDepth, rest = t.steps * 2 - whole;
    for (int64_t i = 0; i < rows; ++i) {
      bf16* const to = a + i * kTileDepth;
      std::fill(std::copy_n(t.a + (row + i) * t.a_row + whole, rest, to), to + kTileDepth, bf16());
    }
  }
};

/// Finished sums on their way to c. Whole rows of bf16 are converted between the products of the next tiles, which the
/// unit computes meanwhile.
template <class Out>
class Finished {
 public:
  /// For products of `tiles` tiles of steps.
  explicit Finished(int64_t tiles) : rows_a_step_(kTilePanel / std::max<int64_t>(tiles, 1) + 1) {}

  /// Room for the sums that are computed now: 32 rows.
  float* room() { return sums_[now_]; }
  /// Takes `rows` rows from the room. Each has `width` sums; the first `columns` of them belong to c.
  void take(Out* c, int64_t c_row, int64_t rows, int64_t columns, int64_t width) {
    convert(left_);
    from_ = sums_[now_], to_ = c, to_row_ = c_row;
    if constexpr (!std::is_same_v<Out, float>)
      if (columns == kTilePanel) {
        left_ = rows;
        now_ = 1 - now_;
        return;
      }
    for (int64_t i = 0; i < rows; ++i)
      if constexpr (std::is_same_v<Out, float>)
        std::copy_n(from_ + i * width, columns, c + i * c_row);
      else
        narrow(from_ + i * width, 1.f, c + i * c_row, columns);
  }
  /// Converts a few rows.
  VITRAIL_INLINE void advance() { convert(std::min(rows_a_step_, left_)); }
  void finish() { convert(left_); }

 private:
  VITRAIL_INLINE void convert(int64_t rows) {
    if constexpr (!std::is_same_v<Out, float>) {
      const float* from = from_;
      Out* to = to_;
      for (int64_t i = 0; i < rows; ++i, from += kTilePanel, to += to_row_) narrow(from, 1.f, to, kTilePanel);
      from_ = from, to_ = to, left_ -= rows;
    }
  }

  alignas(64) float sums_[2][kTilePanel * kTilePanel];
  int now_ = 0;
  int64_t rows_a_step_, left_ = 0, to_row_ = 0;
  const float* from_ = nullptr;
  Out* to_ = nullptr;
};

/// fn.template operator()<row, column>() for each tile of R x V sums.
template <int R, int V, class Fn>
VITRAIL_INLINE void for_each_sum(Fn&& fn) {
  fn.template operator()<0, 0>();
  if constexpr (V == 2) fn.template operator()<0, 1>();
  if constexpr (R == 2) fn.template operator()<1, 0>();
  if constexpr (R == 2 && V == 2) fn.template operator()<1, 1>();
}

/// sums += the products of R tiles of a with V tiles of b. Strides are in bytes.
template <int R, int V, class Unit>
VITRAIL_INLINE void multiply_tiles(Unit& unit, const bf16* a, int64_t a_stride, const bf16* b) {
  const int64_t row = kTile * a_stride;
  const auto* const a_bytes = reinterpret_cast<const std::byte*>(a);
  unit.template load<b_tile(0)>(b, V * 64);
  if constexpr (V == 2) unit.template load<b_tile(1)>(b + kTile * 2, V * 64);
  const auto row_of_tiles = [&]<int i>() {
    unit.template load<a_tile(i)>(a_bytes + i * row, a_stride);
    unit.template multiply<sum_tile(i, 0), a_tile(i), b_tile(0)>();
    if constexpr (V == 2) unit.template multiply<sum_tile(i, 1), a_tile(i), b_tile(1)>();
  };
  row_of_tiles.template operator()<0>();
  if constexpr (R == 2) row_of_tiles.template operator()<1>();
}

/// Steps of a packed factor: whole tiles.
constexpr int64_t tile_steps(int64_t steps) { return (steps + kTile - 1) / kTile * kTile; }

/// `rows` rows, at most 16 R, from `row` on of a panel of V tiles.
template <int R, int V, class Unit, class Out>
void tile_product(Unit& unit, const kernels::GemmTask<bf16, Out>& t, const TileEdge& edge, Finished<Out>& finished,
                  int64_t row, int64_t rows, int64_t col, int64_t columns) {
  constexpr int64_t kWidth = V * kTile;
  Out* const c = t.c + row * t.c_row + col;
  float* to = finished.room();
  int64_t to_row = kWidth;
  bool in_place = false;
  if constexpr (std::is_same_v<Out, float>) {
    in_place = columns == kWidth;
    if (in_place) to = c, to_row = t.c_row;
    if (t.add && !in_place)
      for (int64_t i = 0; i < rows; ++i)
        std::fill(std::copy_n(c + i * t.c_row, columns, to + i * kWidth), to + (i + 1) * kWidth, 0.f);
  }
  for (int64_t i = 0; i < rows; ++i) __builtin_prefetch(c + i * t.c_row, 1);  // in time for the sums
  const auto place = [&](int i, int j) { return to + i * kTile * to_row + j * kTile; };
  for_each_sum<R, V>([&]<int i, int j>() {
    if (t.add)
      unit.template load<sum_tile(i, j)>(place(i, j), to_row * 4);
    else if (t.bias)
      unit.template load<sum_tile(i, j)>(t.bias + col + j * kTile, 0);
    else
      unit.template zero<sum_tile(i, j)>();
  });
  const int64_t whole = t.steps / kTile;
  const bf16* a = t.a + row * t.a_row;
  const bf16* b = t.b + col * tile_steps(t.steps) * 2;
  for (int64_t s = 0; s < whole; ++s, a += kTileDepth, b += kTileDepth * kWidth) {
    multiply_tiles<R, V>(unit, a, t.a_row * 2, b);
    finished.advance();
  }
  if (t.steps % kTile > 0) multiply_tiles<R, V>(unit, edge.a, kTileDepth * 2, b);
  for_each_sum<R, V>([&]<int i, int j>() { unit.template store<sum_tile(i, j)>(place(i, j), to_row * 4); });
  if (!in_place) finished.take(c, t.c_row, rows, columns, kWidth);
}

/// GemmTask on the unit, where the steps of a row of a lie together. 32 rows of a stay in the first-level cache while
/// the panels of b pass by. The processor prefetches these, as they lie in one piece.
template <class Unit, class Out>
void tile_gemm(const kernels::GemmTask<bf16, Out>& t) {
  Unit unit;
  TileEdge edge;
  Finished<Out> finished(t.steps / kTile);
  const auto each_panel = [&](int64_t row, int64_t rows, auto tiles) {
    if (t.steps % kTile > 0) edge.fill(t, row, rows);
    for (int64_t col = 0; col < t.n; col += kTilePanel) {
      const int64_t columns = std::min(kTilePanel, t.n - col);
      if (padded(t.n) - col >= kTilePanel)
        tile_product<tiles(), 2>(unit, t, edge, finished, row, rows, col, columns);
      else
        tile_product<tiles(), 1>(unit, t, edge, finished, row, rows, col, columns);
    }
  };
  const std::integral_constant<int, 1> one;
  const std::integral_constant<int, 2> two;
  const int64_t whole = t.m / kTilePanel * kTilePanel, rest = t.m - whole;
  if (whole > 0) unit.configure(TileShapes(kTilePanel));
  for (int64_t row = 0; row < whole; row += kTilePanel) each_panel(row, kTilePanel, two);
  if (rest > 0) {  // needs other tile shapes
    unit.configure(TileShapes(rest));
    rest > kTile ? each_panel(whole, rest, two) : each_panel(whole, rest, one);
  }
  finished.finish();
  unit.release();
}

/// Zeros in the steps of a second factor that x does not fill.
inline void clear_steps(const kernels::PackTask<bf16>& t) {
  const int64_t done = (t.k + 1) / 2;
  for_each_panel<kTilePanel>(t.n, 0, [&](int64_t col, int64_t, int64_t width) {
    std::fill_n(t.y + (col * t.steps + done * width) * 2, (t.steps - done) * width * 2, bf16());
  });
}

/// Rows of x become columns of a first factor: pairs of rows, transposed in squares.
inline void tile_pack_rows(const kernels::PackTask<bf16>& t) {
  if (t.width == 0) {
    pack_rows<bf16, kTilePanel>(t);
    return clear_steps(t);
  }
  constexpr int64_t kSteps = 8;  // that are transposed together
  constexpr int64_t kColumns = 64;
  bf16 pairs[kSteps * kColumns * 2];
  const int64_t y_row = t.steps * 2;
  for (int64_t col = 0; col < t.n; col += kColumns) {
    const int64_t columns = std::min(kColumns, t.n - col), words = (columns + 7) / 8 * 8;
    bf16* const y = t.y + col * y_row;
    for (int64_t step = 0; step < t.steps; step += kSteps) {  // whole tiles
      for (int64_t s = 0; s < kSteps; ++s) {
        const int64_t k = 2 * (step + s);
        const bf16* const row = t.x + k * t.x_stride + col;
        bf16* const to = pairs + s * kColumns * 2;
        if (k + 1 < t.k)
          pack_step(row, row + t.x_stride, columns, words, to);
        else
          for (int64_t j = 0; j < words; ++j)
            to[2 * j] = k < t.k && j < columns ? row[j] : bf16(), to[2 * j + 1] = bf16();
      }
      if (words == columns)
        transpose_rows<float>(pairs, kColumns * 2, words, y + 2 * step, y_row);
      else
        for (int64_t j = 0; j < columns; ++j)
          for (int64_t s = 0; s < kSteps; ++s)
            std::copy_n(pairs + (s * kColumns + j) * 2, 2, y + j * y_row + 2 * (step + s));
    }
  }
}
/// Columns of x become rows of a first factor.
inline void tile_pack_columns(const kernels::PackTask<bf16>& t) {
  if (t.width == 0) {
    pack_columns<bf16, kTilePanel>(t);
    return clear_steps(t);
  }
  for (int64_t j = 0; j < t.n; ++j) {
    bf16* const y = t.y + j * t.steps * 2;
    std::fill(std::copy_n(t.x + j * t.x_stride, t.k, y), y + t.steps * 2, bf16());
  }
}

template <class Unit>
constexpr kernels::Gemm<bf16> make_tile_gemm() {
  static_assert(kernels::kGemmStrip % kTilePanel == 0 && kernels::kGemmColumns == kTile);
  return {.multiply = tile_gemm<Unit, float>,
          .multiply_narrow = tile_gemm<Unit, bf16>,
          .pack_rows = tile_pack_rows,
          .pack_columns = tile_pack_columns,
          .rows_together = true,
          .step_multiple = kTile,
          .block_rows = 2 * kTilePanel,
          .block_bytes = 1 << 20};
}

}  // namespace VITRAIL_ISA
}  // namespace vitrail::loops
