// The product of matrices that are small enough to stay in the cache: what attention multiplies, head by head.
#pragma once

#include "../vec_math.h"

#include <cstring>
#include <initializer_list>

namespace vitrail::reference {
inline namespace VITRAIL_ISA {

#ifdef __AVX512F__
inline constexpr int kVectorBytes = 64, kMostVectors = 4, kAccumulators = 24;
#else
inline constexpr int kVectorBytes = 32, kMostVectors = 2, kAccumulators = 12;
#endif

template <class C>
using Vector [[gnu::vector_size(kVectorBytes)]] = C;

template <class C>
struct GemmOperands {
  const C* a;
  int64_t a_row, a_col;
  const C* b;
  int64_t b_row;
  C* c;
  int64_t c_row;
};

/// R rows by V vectors of c, with all of their sums in registers.
template <class C, int R, int V>
void gemm_tile(const GemmOperands<C>& o, int64_t row, int64_t col, int64_t k, bool add) {
  using Vec = Vector<C>;
  constexpr int kLanes = kVectorBytes / int(sizeof(C));
  const C* a = o.a + row * o.a_row;
  const C* b = o.b + col;
  C* c = o.c + row * o.c_row + col;
  Vec total[R][V] = {};
  if (add)
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < V; ++v) std::memcpy(&total[r][v], c + r * o.c_row + v * kLanes, sizeof(Vec));
  for (int64_t i = 0; i < k; ++i, a += o.a_col, b += o.b_row) {
    Vec line[V];
    for (int v = 0; v < V; ++v) std::memcpy(&line[v], b + v * kLanes, sizeof(Vec));
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < V; ++v) total[r][v] += a[r * o.a_row] * line[v];
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) std::memcpy(c + r * o.c_row + v * kLanes, &total[r][v], sizeof(Vec));
}

/// All rows from row on of V vectors of columns, R rows at a time, then fewer.
template <class C, int V, int R>
void gemm_columns(const GemmOperands<C>& o, int64_t row, int64_t rows, int64_t col, int64_t k, bool add) {
  for (; row + R <= rows; row += R) gemm_tile<C, R, V>(o, row, col, k, add);
  if constexpr (R > 1)
    if (row < rows) gemm_columns<C, V, (R > 4 ? 4 : R / 2)>(o, row, rows, col, k, add);
}

/// c = a b, or c += a b; a [m, k] with any strides, b [k, n] and c [m, n] with dense rows. n is a multiple of
/// simd::kGemmColumns: whoever has fewer columns pads them.
template <class C>
void gemm(int64_t m, int64_t n, int64_t k, const C* a, int64_t a_row, int64_t a_col, const C* b, int64_t b_row, C* c,
          int64_t c_row, bool add) {
  constexpr int64_t kLanes = kVectorBytes / int64_t(sizeof(C));
  constexpr int kTallest = 12;
  const GemmOperands<C> o{a, a_row, a_col, b, b_row, c, c_row};
  const int64_t vectors = n / kLanes, groups = (vectors + kMostVectors - 1) / kMostVectors;
  for (int64_t g = 0; g < groups; ++g) {  // of nearly equal width
    const int64_t begin = vectors * g / groups, width = vectors * (g + 1) / groups - begin, col = begin * kLanes;
    if constexpr (kMostVectors > 2) {
      if (width == 4) gemm_columns<C, 4, kAccumulators / 4>(o, 0, m, col, k, add);
      if (width == 3) gemm_columns<C, 3, kAccumulators / 3>(o, 0, m, col, k, add);
    }
    if (width == 2) gemm_columns<C, 2, kAccumulators / 2>(o, 0, m, col, k, add);
    if (width == 1) gemm_columns<C, 1, kTallest>(o, 0, m, col, k, add);
  }
}

/// Eight rows of x as eight columns of y, in squares of 8 by 8; n, the length of a row, is a multiple of 8.
template <class C>
void transpose_rows(const C* x, int64_t x_row, int64_t n, C* y, int64_t y_row) {
  using Line [[gnu::vector_size(8 * sizeof(C))]] = C;
  for (int64_t d = 0; d < n; d += 8) {
    Line a[8], b[8];
    for (int i = 0; i < 8; ++i) std::memcpy(&a[i], x + i * x_row + d, sizeof(Line));
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
    for (int i = 0; i < 8; ++i) std::memcpy(y + (d + i) * y_row, &b[i], sizeof(Line));
  }
}

}  // namespace VITRAIL_ISA
}  // namespace vitrail::reference
