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
inline constexpr int64_t kTilePanel = 2 * kTile;  // columns of a panel of b
inline constexpr int64_t kTileBlock = 256;        // rows of a that pass by while a panel of b stays in the first cache

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

/// The last steps of a and b where steps is not a multiple of 16, filled with zeros to whole tiles.
struct TileEdge {
  alignas(64) bf16 a[kTileBlock * kTileDepth];
  alignas(64) bf16 b[kTile * kTilePanel * 2];

  template <class Out>
  void fill_a(const kernels::GemmTask<bf16, Out>& t, int64_t row, int64_t rows) {
    const int64_t whole = t.steps / kTile * kTileDepth, rest = t.steps * 2 - whole;
    for (int64_t i = 0; i < rows; ++i) {
      bf16* const to = a + i * kTileDepth;
      std::fill(std::copy_n(t.a + (row + i) * t.a_row + whole, rest, to), to + kTileDepth, bf16());
    }
  }
  template <class Out>
  void fill_b(const kernels::GemmTask<bf16, Out>& t, int64_t col, int64_t width) {
    const int64_t whole = t.steps / kTile * kTile;
    const bf16* const from = t.b + (col * t.steps + whole * width) * 2;
    std::fill(std::copy_n(from, (t.steps - whole) * width * 2, b), b + kTile * width * 2, bf16());
  }
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
  unit.template load<a_tile(0)>(a_bytes, a_stride);
  if constexpr (R == 2) unit.template load<a_tile(1)>(a_bytes + row, a_stride);
  for_each_sum<R, V>([&]<int i, int j>() { unit.template multiply<sum_tile(i, j), a_tile(i), b_tile(j)>(); });
}

/// 16 sums of a row, rounded to nearest.
VITRAIL_INLINE void narrow_line(const float* x, bf16* y) {
#ifdef __AVX512BF16__
  const auto line = _mm512_cvtneps_pbh(_mm512_loadu_ps(x));
  std::memcpy(static_cast<void*>(y), &line, sizeof line);
#else
  narrow(x, y, kTile);
#endif
}

/// `rows` rows, at most 16 R, from `row` on of a panel of V tiles. edge_a: the first of these rows in the edge.
template <int R, int V, class Unit, class Out>
void tile_product(Unit& unit, const kernels::GemmTask<bf16, Out>& t, const TileEdge& edge, const bf16* edge_a,
                  int64_t row, int64_t rows, int64_t col, int64_t columns) {
  constexpr int64_t kWidth = V * kTile;
  alignas(64) float sums[R * kTile * kWidth];
  Out* const c = t.c + row * t.c_row + col;
  float* to = sums;
  int64_t to_row = kWidth;
  if constexpr (std::is_same_v<Out, float>) {
    if (columns == kWidth) to = c, to_row = t.c_row;
    if (t.add && to == sums)
      for (int64_t i = 0; i < rows; ++i)
        std::fill(std::copy_n(c + i * t.c_row, columns, sums + i * kWidth), sums + (i + 1) * kWidth, 0.f);
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
  const bf16* a = t.a + row * t.a_row;
  const bf16* b = t.b + col * t.steps * 2;
  for (int64_t s = kTile; s <= t.steps; s += kTile, a += kTileDepth, b += kTileDepth * kWidth)
    multiply_tiles<R, V>(unit, a, t.a_row * 2, b);
  if (t.steps % kTile > 0) multiply_tiles<R, V>(unit, edge_a, kTileDepth * 2, edge.b);
  for_each_sum<R, V>([&]<int i, int j>() { unit.template store<sum_tile(i, j)>(place(i, j), to_row * 4); });
  if constexpr (std::is_same_v<Out, float>) {
    if (to == sums)
      for (int64_t i = 0; i < rows; ++i) std::copy_n(sums + i * kWidth, columns, c + i * t.c_row);
  } else {
    for (int64_t i = 0; i < rows; ++i) {
      bf16* const c_row = c + i * t.c_row;
      if (columns < kWidth) {
        narrow(sums + i * kWidth, c_row, columns);
        continue;
      }
      for (int j = 0; j < V; ++j) narrow_line(sums + i * kWidth + j * kTile, c_row + j * kTile);
    }
  }
}

/// GemmTask on the unit, where the steps of a row of a lie together. Full blocks of 32 rows come first. The rows that
/// are left over need other tile shapes.
template <class Unit, class Out>
void tile_gemm(const kernels::GemmTask<bf16, Out>& t) {
  Unit unit;
  TileEdge edge;
  const auto each_panel = [&](int64_t begin, int64_t end, int64_t high, auto tiles) {
    if (begin == end) return;
    unit.configure(TileShapes(high));
    if (t.steps % kTile > 0) edge.fill_a(t, begin, end - begin);
    for (int64_t col = 0; col < t.n; col += kTilePanel) {
      const int64_t columns = std::min(kTilePanel, t.n - col), width = std::min(kTilePanel, padded(t.n) - col);
      if (t.steps % kTile > 0) edge.fill_b(t, col, width);
      for (int64_t row = begin; row < end; row += high) {
        const bf16* const edge_a = edge.a + (row - begin) * kTileDepth;
        if (width == kTilePanel)
          tile_product<tiles(), 2>(unit, t, edge, edge_a, row, high, col, columns);
        else
          tile_product<tiles(), 1>(unit, t, edge, edge_a, row, high, col, columns);
      }
    }
  };
  const int64_t whole = t.m / (2 * kTile) * (2 * kTile), rest = t.m - whole;
  const std::integral_constant<int, 1> one;
  const std::integral_constant<int, 2> two;
  for (int64_t row = 0; row < whole; row += kTileBlock)
    each_panel(row, std::min(row + kTileBlock, whole), 2 * kTile, two);
  rest > kTile ? each_panel(whole, t.m, rest, two) : each_panel(whole, t.m, rest, one);
  unit.release();
}

/// Rows of x become columns of a first factor, whose rows have `steps` steps: as b, or transposed in squares.
inline void tile_pack_rows(const kernels::PackTask<bf16>& t) {
  if (t.width == 0) return pack_rows<bf16, kTilePanel>(t);
  constexpr int64_t kSteps = 8;  // that are transposed together
  constexpr int64_t kColumns = 64;
  bf16 pairs[kSteps * kColumns * 2];
  const int64_t y_row = t.steps * 2;
  for (int64_t col = 0; col < t.n; col += kColumns) {
    const int64_t columns = std::min(kColumns, t.n - col), words = (columns + 7) / 8 * 8;
    bf16* const y = t.y + col * y_row;
    for (int64_t step = 0; step < t.steps; step += kSteps) {
      const int64_t count = std::min(kSteps, t.steps - step);
      for (int64_t s = 0; s < count; ++s) {
        const int64_t k = 2 * (step + s);
        const bf16* const row = t.x + k * t.x_stride + col;
        bf16* const to = pairs + s * kColumns * 2;
        if (k + 1 < t.k)
          pack_step(row, row + t.x_stride, columns, words, to);
        else
          for (int64_t j = 0; j < words; ++j) to[2 * j] = j < columns ? row[j] : bf16(), to[2 * j + 1] = bf16();
      }
      if (count == kSteps && words == columns)
        transpose_rows<float>(pairs, kColumns * 2, words, y + 2 * step, y_row);
      else
        for (int64_t j = 0; j < columns; ++j)
          for (int64_t s = 0; s < count; ++s)
            std::copy_n(pairs + (s * kColumns + j) * 2, 2, y + j * y_row + 2 * (step + s));
    }
  }
}
/// Columns of x become rows of a first factor.
inline void tile_pack_columns(const kernels::PackTask<bf16>& t) {
  if (t.width == 0) return pack_columns<bf16, kTilePanel>(t);
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
          .block_rows = kTileBlock};
}

}  // namespace VITRAIL_ISA
}  // namespace vitrail::loops
