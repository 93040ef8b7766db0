// The loops of core/kernels/gemm.h.
#pragma once

#include "vitrail/core/kernels/gemm.h"
#include "vitrail/core/kernels/vec_math.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace vitrail::loops {
inline namespace VITRAIL_ISA {

// A tile of R rows by V vectors keeps in registers: R V sums, V vectors of a row of b, and one element of a. There are
// 32 registers of 64 bytes, or 16 of 32 bytes.
#ifdef __AVX512F__
inline constexpr int kVectorBytes = 64, kAccumulators = 24;
#else
inline constexpr int kVectorBytes = 32, kAccumulators = 12;
#endif
inline constexpr int kPanelVectors = 3, kTallest = 12;

template <class T>
using Vector [[gnu::vector_size(kVectorBytes)]] = T;
template <class Sum>
inline constexpr int kLanes = kVectorBytes / int(sizeof(Sum));
/// Columns of a panel of b.
template <class Sum>
inline constexpr int64_t kPanel = kPanelVectors* kLanes<Sum>;

/// How a vector of one step of b is multiplied by one of a and added to the sums.
template <class In>
struct Multiplier {
  using Sum = In;
  using Line = Vector<In>;
  static In factor(const In* a) { return *a; }
  static void add(Vector<Sum>& total, In a, const Line& b) { total += a * b; }
};
#ifdef __AVX512BF16__
template <>
struct Multiplier<bf16> {
  using Sum = float;
  using Line = Vector<int32_t>;  // pairs
  static Line factor(const bf16* a) {
    int32_t pair;
    std::memcpy(&pair, a, sizeof pair);
    return Line{} + pair;
  }
  static void add(Vector<float>& total, const Line& a, const Line& b) {
    total = std::bit_cast<Vector<float>>(
        _mm512_dpbf16_ps(std::bit_cast<__m512>(total), std::bit_cast<__m512bh>(a), std::bit_cast<__m512bh>(b)));
  }
};
#endif

template <class Out, class Sum>
void store(const Vector<Sum>& sums, Out* to) {
  if constexpr (std::is_same_v<Out, Sum>) std::memcpy(to, &sums, sizeof sums);
#ifdef __AVX512BF16__
  else {
    const auto narrow = _mm512_cvtneps_pbh(std::bit_cast<__m512>(sums));
    std::memcpy(static_cast<void*>(to), &narrow, sizeof narrow);
  }
#endif
}

/// Computes R rows by V vectors of c. bias and b begin at the first column of c.
template <class In, class Out, int R, int V>
void gemm_tile(const kernels::GemmTask<In, Out>& t, const In* a, const In* b, const compute_t<In>* bias, Out* c,
               int64_t c_row) {
  using M = Multiplier<In>;
  using Sum = compute_t<In>;
  constexpr int kWidth = kLanes<Sum>;
  Vector<Sum> total[R][V] = {};
  for (int v = 0; v < V; ++v)
    for (int r = 0; r < R; ++r) {
      if (bias) std::memcpy(&total[r][v], bias + v * kWidth, kVectorBytes);
      if constexpr (std::is_same_v<Out, Sum>)
        if (t.add) std::memcpy(&total[r][v], c + r * c_row + v * kWidth, kVectorBytes);
    }
  for (int64_t s = 0; s < t.steps; ++s, a += t.a_step, b += V * kWidth * kernels::kGemmStep<In>) {
    typename M::Line line[V];
    for (int v = 0; v < V; ++v) std::memcpy(&line[v], b + v * kWidth * kernels::kGemmStep<In>, kVectorBytes);
    for (int r = 0; r < R; ++r) {
      const auto factor = M::factor(a + r * t.a_row);
      for (int v = 0; v < V; ++v) M::add(total[r][v], factor, line[v]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) store<Out, Sum>(total[r][v], c + r * c_row + v * kWidth);
}

/// A panel of c from row on, R rows at a time, then fewer; columns: how many of the panel c has.
template <class In, class Out, int V, int R>
void gemm_panel(const kernels::GemmTask<In, Out>& t, int64_t row, int64_t col, int64_t columns) {
  constexpr int64_t kWidth = V * kLanes<compute_t<In>>;
  const In* const b = t.b + col * t.steps * kernels::kGemmStep<In>;
  const auto* const bias = t.bias ? t.bias + col : nullptr;
  for (; row + R <= t.m; row += R) {
    const In* const a = t.a + row * t.a_row;
    Out* const c = t.c + row * t.c_row + col;
    if (columns >= kWidth) {
      gemm_tile<In, Out, R, V>(t, a, b, bias, c, t.c_row);
      continue;
    }
    Out whole[R * kWidth] = {};  // c ends within the tile
    if (t.add)
      for (int r = 0; r < R; ++r) std::copy_n(c + r * t.c_row, columns, whole + r * kWidth);
    gemm_tile<In, Out, R, V>(t, a, b, bias, whole, kWidth);
    for (int r = 0; r < R; ++r) std::copy_n(whole + r * kWidth, columns, c + r * t.c_row);
  }
  if constexpr (R > 1)
    if (row < t.m) gemm_panel<In, Out, V, (R > 4 ? 4 : R / 2)>(t, row, col, columns);
}

inline int64_t padded(int64_t columns) {
  return (columns + kernels::kGemmColumns - 1) / kernels::kGemmColumns * kernels::kGemmColumns;
}

template <class In, class Out>
void gemm(const kernels::GemmTask<In, Out>& t) {
  constexpr int64_t kWidth = kLanes<compute_t<In>>, kWide = kPanel<compute_t<In>>;
  static_assert(kernels::kGemmStrip % kWide == 0 && kernels::kGemmColumns % kWidth == 0);
  for (int64_t col = 0; col < t.n; col += kWide) {
    const int64_t columns = std::min(kWide, t.n - col);
    switch (std::min(kWide, padded(t.n) - col) / kWidth) {
      case 1:
        gemm_panel<In, Out, 1, kTallest>(t, 0, col, columns);
        break;
      case 2:
        gemm_panel<In, Out, 2, kAccumulators / 2>(t, 0, col, columns);
        break;
      default:
        gemm_panel<In, Out, 3, kAccumulators / 3>(t, 0, col, columns);
    }
  }
}

/// fn(first column, columns that x has, width) for each panel of n columns: of the given width, or, if it is 0, of
/// kPanel columns, as gemm reads b.
template <int64_t kPanel, class F>
void for_each_panel(int64_t n, int64_t width, F&& fn) {
  const int64_t panel = width > 0 ? width : kPanel, end = width > 0 ? n : padded(n);
  for (int64_t col = 0; col < end; col += panel)
    fn(col, std::clamp<int64_t>(n - col, 0, panel), width > 0 ? width : std::min(panel, end - col));
}

/// A step of a panel: a row of x, or two of them element by element.
template <class In>
void pack_step(const In* row, int64_t columns, int64_t width, In* y) {
  std::fill(std::copy_n(row, columns, y), y + width, In());
}
inline void pack_step(const bf16* row, const bf16* next, int64_t columns, int64_t width, bf16* y) {
  using Half [[gnu::vector_size(32)]] = uint16_t;
  int64_t j = 0;
  for (; j + 16 <= columns; j += 16) {
    Half a, b;
    std::memcpy(&a, row + j, sizeof a);
    std::memcpy(&b, next + j, sizeof b);
    const auto pairs = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9,
                                               25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    std::memcpy(static_cast<void*>(y + 2 * j), &pairs, sizeof pairs);
  }
  for (; j < columns; ++j) y[2 * j] = row[j], y[2 * j + 1] = next[j];
  std::fill(y + 2 * columns, y + 2 * width, bf16());
}

template <class In, int64_t kWide = kPanel<compute_t<In>>>
void pack_rows(const kernels::PackTask<In>& t) {
  constexpr int64_t kStep = kernels::kGemmStep<In>,
                    kChunk = 16 * kStep;  // rows that are read together, panel after panel
  for (int64_t begin = 0; begin < t.k; begin += kChunk)
    for_each_panel<kWide>(t.n, t.width, [&](int64_t col, int64_t columns, int64_t width) {
      const In* row = t.x + begin * t.x_stride + col;
      In* to = t.y + (col * t.steps + begin / kStep * width) * kStep;
      const int64_t end = std::min(begin + kChunk, t.k);
      for (int64_t i = begin; i < end; i += kStep, row += kStep * t.x_stride, to += kStep * width) {
        if constexpr (kStep == 1)
          pack_step(row, columns, width, to);
        else if (i + 1 < t.k)
          pack_step(row, row + t.x_stride, columns, width, to);
        else
          for (int64_t j = 0; j < width; ++j) to[2 * j] = j < columns ? row[j] : In(), to[2 * j + 1] = In();
      }
    });
}

/// The first `words` words of eight rows of x become eight columns of words of y, in squares of 8 by 8; words is a
/// multiple of 8.
template <class Word, class T>
void transpose_rows(const T* x, int64_t x_row, int64_t words, T* y, int64_t y_row) {
  using Line [[gnu::vector_size(8 * sizeof(Word))]] = Word;
  constexpr int64_t kPerWord = kernels::kGemmStep<T>;
  for (int64_t d = 0; d < words; d += 8) {
    Line a[8], b[8];
    for (int i = 0; i < 8; ++i) std::memcpy(&a[i], x + i * x_row + d * kPerWord, sizeof(Line));
    for (int i = 0; i < 8; i += 2) {  // squares of 2, then of 4, then of 8
      b[i] = __builtin_shufflevector(a[i], a[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
      b[i + 1] = __builtin_shufflevector(a[i], a[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (int i : {0, 1, 4, 5}) {
      a[i] = __builtin_shufflevector(b[i], b[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      a[i + 2] = __builtin_shufflevector(b[i], b[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    for (int i = 0; i < 4; ++i) {
      b[i] = __builtin_shufflevector(a[i], a[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
      b[i + 4] = __builtin_shufflevector(a[i], a[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
    for (int i = 0; i < 8; ++i) std::memcpy(static_cast<void*>(y + (d + i) * y_row), &b[i], sizeof(Line));
  }
}

template <class In, int64_t kWide = kPanel<compute_t<In>>>
void pack_columns(const kernels::PackTask<In>& t) {
  constexpr int64_t kStep = kernels::kGemmStep<In>, kSquare = 8;
  using Word = std::conditional_t<std::is_same_v<In, double>, double, float>;  // a step of a column, moved as a whole
  const int64_t end = (t.k + kStep - 1) / kStep * kStep, whole_squares = t.k / (kSquare * kStep) * kSquare;
  for_each_panel<kWide>(t.n, t.width, [&](int64_t col, int64_t columns, int64_t width) {
    for (int64_t j = 0; j < width; j += kSquare) {
      const In* const from = t.x + (col + j) * t.x_stride;
      In* const to = t.y + (col * t.steps + j) * kStep;
      const int64_t side = std::min(kSquare, width - j), rows = std::clamp<int64_t>(columns - j, 0, side);
      const int64_t done = rows == kSquare ? whole_squares : 0;
      transpose_rows<Word>(from, t.x_stride, done, to, width * kStep);
      for (int64_t i = done * kStep; i < end; ++i)
        for (int64_t w = 0; w < side; ++w)
          to[i / kStep * width * kStep + w * kStep + i % kStep] = i < t.k && w < rows ? from[w * t.x_stride + i] : In();
    }
  });
}

template <class In>
constexpr kernels::Gemm<In> make_gemm() {
  return {.multiply = gemm<In, compute_t<In>>,
          .multiply_narrow = gemm<In, In>,
          .pack_rows = pack_rows<In>,
          .pack_columns = pack_columns<In>,
          .rows_together = false,
          .step_multiple = 1,
          .block_rows = 64,
          .block_bytes = std::numeric_limits<int64_t>::max()};
}

}  // namespace VITRAIL_ISA
}  // namespace vitrail::loops
