// The loops of core/kernels/few_rows.h.
#pragma once

#include "vitrail/core/kernels/few_rows.h"
#include "vitrail/core/kernels/loops/gemm.h"

#include <algorithm>
#include <bit>
#include <cstring>
#ifdef __AVX512VNNI__
#include <immintrin.h>
#endif

namespace vitrail::loops {
inline namespace VITRAIL_ISA {

// Rows or panels of w that are read together, as the processor prefetches several streams faster than one. Later rows
// of about so many bytes are asked for meanwhile, and so many bytes of each panel. See docs/performance.md.
inline constexpr int kTogether = 4;
inline constexpr int64_t kAheadOfRows = 32768, kAheadOfPanel = 2048;

inline Vector<float> widen_vector(const bf16* x) {
  constexpr int kWidth = kLanes<float>;
  using Half [[gnu::vector_size(kVectorBytes / 2)]] = uint16_t;
  Half half;
  std::memcpy(&half, x, sizeof half);
  return std::bit_cast<Vector<float>>(__builtin_convertvector(half, Vector<uint32_t>) << 16);
  static_assert(sizeof(Half) == kWidth * sizeof(bf16));
}

inline float sum_of_lanes(const Vector<float>& x) {
  float lanes[kLanes<float>];
  std::memcpy(lanes, &x, sizeof x);
  for (int width = kLanes<float> / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  return lanes[0];
}

/// Outputs j .. j + R - 1 of rows i .. i + M - 1.
template <int R, int M>
void few_rows_block(const kernels::FewRowsTask& t, int64_t j, int64_t i) {
  constexpr int kWidth = kLanes<float>;
  constexpr int64_t kLine = 64 / int64_t(sizeof(bf16));  // a line of the caches
  const bf16* const w = t.w + j * t.w_row;
  const float* const x = t.x + i * t.k;
  const int64_t together = kTogether * t.w_row * int64_t(sizeof(bf16)),
                ahead = std::max<int64_t>(kAheadOfRows / std::max<int64_t>(together, 1), 1) * together;
  Vector<float> total[R][M] = {};
  const auto add = [&](int64_t l) {
    Vector<float> factor[M];
    for (int m = 0; m < M; ++m) std::memcpy(&factor[m], x + m * t.k + l, kVectorBytes);
    for (int r = 0; r < R; ++r) {
      const Vector<float> weights = widen_vector(w + r * t.w_row + l);
      for (int m = 0; m < M; ++m) total[r][m] += weights * factor[m];
    }
  };
  int64_t l = 0;
  for (; l + kLine <= t.k; l += kLine) {
    for (int r = 0; r < R; ++r)
      __builtin_prefetch(reinterpret_cast<const std::byte*>(w + r * t.w_row + l) + ahead, 0, 2);
    for (int64_t part = 0; part < kLine; part += kWidth) add(l + part);
  }
  for (; l + kWidth <= t.k; l += kWidth) add(l);
  for (int r = 0; r < R; ++r)
    for (int m = 0; m < M; ++m) {
      float sum = sum_of_lanes(total[r][m]);
      for (int64_t rest = l; rest < t.k; ++rest) sum += float(w[r * t.w_row + rest]) * x[m * t.k + rest];
      t.y[(i + m) * t.y_row + j + r] = t.bias ? sum + t.bias[j + r] : sum;
    }
}

/// Outputs j .. j + R - 1 of the rows from i on, M at a time, then fewer. The weights stay in the first-level cache.
template <int R, int M>
void few_rows_outputs(const kernels::FewRowsTask& t, int64_t j, int64_t i) {
  for (; i + M <= t.rows; i += M) few_rows_block<R, M>(t, j, i);
  if constexpr (M > 1)
    if (i < t.rows) few_rows_outputs<R, M / 2>(t, j, i);
}

inline void few_rows(const kernels::FewRowsTask& t) {
  int64_t j = t.begin;
  for (; j + kTogether <= t.end; j += kTogether) few_rows_outputs<kTogether, 4>(t, j, 0);
  for (; j < t.end; ++j) few_rows_outputs<1, 4>(t, j, 0);
}

/// total += the products of a run of weights, unsigned, with the run x of a row.
VITRAIL_INLINE void add_run(Vector<int32_t>& total, const uint8_t* w, const int8_t* x) {
  Vector<uint32_t> runs;
  std::memcpy(&runs, w, sizeof runs);
#ifdef __AVX512VNNI__
  int32_t run;
  std::memcpy(&run, x, sizeof run);
  total = std::bit_cast<Vector<int32_t>>(
      _mm512_dpbusd_epi32(std::bit_cast<__m512i>(total), std::bit_cast<__m512i>(runs), _mm512_set1_epi32(run)));
#else
  for (int b = 0; b < int(kernels::kInt8Run); ++b)
    total += std::bit_cast<Vector<int32_t>>(runs >> (8 * b) & 255u) * int32_t(x[b]);
#endif
}

/// The outputs of panels panel .. panel + P - 1 for rows i .. i + M - 1.
template <int P, int M>
void int8_block(const kernels::Int8RowsTask& t, int64_t panel, int64_t i) {
  constexpr int64_t kOutputs = kernels::kInt8Outputs, kGroup = kernels::kInt8Group,
                    kRunBytes = kOutputs * kernels::kInt8Run;
  constexpr int kVectors = int(kOutputs) / kLanes<float>;
  const uint8_t* const w = t.w + panel * t.groups * kOutputs * kGroup;
  const bf16* const w_scales = t.w_scales + panel * t.groups * kOutputs;
  Vector<float> total[P][M][kVectors] = {};
  for (int64_t g = 0; g < t.groups; ++g) {
    const int8_t* const x = t.x + (i * t.groups + g) * kGroup;
    Vector<int32_t> sum[P][M][kVectors];
    for (int p = 0; p < P; ++p)
      for (int m = 0; m < M; ++m)
        for (int v = 0; v < kVectors; ++v) sum[p][m][v] = Vector<int32_t>{} + t.x_zeros[(i + m) * t.groups + g];
    for (int64_t run = 0; run < kGroup / kernels::kInt8Run; ++run)
      for (int p = 0; p < P; ++p) {
        const uint8_t* const from = w + (p * t.groups + g) * kOutputs * kGroup + run * kRunBytes;
        __builtin_prefetch(from + kAheadOfPanel, 0, 2);
        for (int m = 0; m < M; ++m)
          for (int v = 0; v < kVectors; ++v)
            add_run(sum[p][m][v], from + v * kVectorBytes, x + m * t.groups * kGroup + run * kernels::kInt8Run);
      }
    for (int p = 0; p < P; ++p)
      for (int v = 0; v < kVectors; ++v) {
        const Vector<float> scale = widen_vector(w_scales + (p * t.groups + g) * kOutputs + v * kLanes<float>);
        for (int m = 0; m < M; ++m)
          total[p][m][v] +=
              __builtin_convertvector(sum[p][m][v], Vector<float>) * (scale * t.x_scales[(i + m) * t.groups + g]);
      }
  }
  for (int p = 0; p < P; ++p)
    for (int m = 0; m < M; ++m) {
      float results[kOutputs];
      std::memcpy(results, total[p][m], sizeof results);
      const int64_t first = (panel + p) * kOutputs, outputs = std::min(kOutputs, t.outputs - first);
      float* const y = t.y + (i + m) * t.y_row + first;
      for (int64_t j = 0; j < outputs; ++j) y[j] = t.bias ? results[j] + t.bias[first + j] : results[j];
    }
}

/// A few panels for the rows from i on, M at a time, then fewer. As many panels at once as the registers hold sums of.
template <int M>
void int8_rows(const kernels::Int8RowsTask& t, int64_t begin, int64_t end, int64_t i) {
  constexpr int kSums = kVectorBytes == 64 ? 8 : 2, kPanels = std::max(std::min(kTogether, kSums / M), 1);
  for (; i + M <= t.rows; i += M) {
    int64_t panel = begin;
    for (; panel + kPanels <= end; panel += kPanels) int8_block<kPanels, M>(t, panel, i);
    for (; panel < end; ++panel) int8_block<1, M>(t, panel, i);
  }
  if constexpr (M > 1)
    if (i < t.rows) int8_rows<M / 2>(t, begin, end, i);
}

inline void few_rows_int8(const kernels::Int8RowsTask& t) {
  constexpr int kMostRows = kVectorBytes == 64 ? 8 : 2;
  for (int64_t panel = t.begin; panel < t.end; panel += kTogether)
    int8_rows<kMostRows>(t, panel, std::min(panel + kTogether, t.end), 0);
}

inline void unpack_int8(const uint8_t* w, const bf16* scales, float* y, int64_t y_row) {
  constexpr int64_t kOutputs = kernels::kInt8Outputs, kRuns = kernels::kInt8Group / kernels::kInt8Run;
  float runs[kOutputs * kRuns], rows[kOutputs * kRuns];  // four bytes each
  std::memcpy(runs, w, sizeof runs);
  transpose_rows<float>(runs, kOutputs, kOutputs, rows, kRuns);
  uint8_t bytes[kOutputs * kernels::kInt8Group];
  std::memcpy(bytes, rows, sizeof bytes);
  for (int64_t j = 0; j < kOutputs; ++j) {
    const float scale = scales[j];
#pragma omp simd
    for (int64_t l = 0; l < kernels::kInt8Group; ++l)
      y[j * y_row + l] = float(int32_t(bytes[j * kernels::kInt8Group + l]) - int32_t(kernels::kInt8Zero)) * scale;
  }
}

constexpr kernels::FewRows make_few_rows() {
  return {.multiply = few_rows, .multiply_int8 = few_rows_int8, .unpack_int8 = unpack_int8};
}

}  // namespace VITRAIL_ISA
}  // namespace vitrail::loops
