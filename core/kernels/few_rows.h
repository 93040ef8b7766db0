// Products of a few rows with a large matrix of weights, as a decoder computes them for every token. Memory is their
// limit, so each weight is read once, in order, and meets all rows. The loops are in core/kernels/loops/few_rows.h,
// compiled for each instruction set.
#pragma once

#include "vitrail/core/dtype.h"

#include <cstdint>

namespace vitrail::kernels {

/// The most rows that these products serve. More rows are computed faster by Gemm, which packs the weights.
inline constexpr int64_t kFewRows = 8;

/// y(i, j) = sum of x(i, l) w(j, l) over l, + bias(j), for outputs begin <= j < end. Sums are f32.
struct FewRowsTask {
  int64_t rows;    // of x and y, at most kFewRows
  int64_t k;       // columns of x and w
  const float* x;  // [rows, k], dense
  const bf16* w;   // [outputs, k], w_row elements from one row to the next
  int64_t w_row;
  float* y;  // [rows, outputs], y_row elements from one row to the next
  int64_t y_row;
  const float* bias;  // [outputs]; null: none
  int64_t begin, end;
};

/// Weights of 8 bits lie in panels of 16 outputs, and in each in groups of 32 inputs. A group has 8 runs of 4 inputs;
/// a run has the 4 bytes of each output, q + 128 for q from -127 to 127. Each group has a scale for each output.
inline constexpr int64_t kInt8Outputs = 16, kInt8Group = 32, kInt8Run = 4, kInt8Zero = 128;

/// The same sum of scale(i, group) x(i, l) and scale(j, group) q(j, l), for panels begin <= panel < end. The sum of a
/// group is exact, those of groups are added in f32.
struct Int8RowsTask {
  int64_t rows, groups;
  const int8_t* x;         // [rows, groups, 32]
  const float* x_scales;   // [rows, groups]
  const int32_t* x_zeros;  // [rows, groups]: -128 times the sum of the group, which takes the 128 of the weights back
  const uint8_t* w;        // [panels, groups, 8, 16, 4]
  const bf16* w_scales;    // [panels, groups, 16]
  float* y;                // [rows, outputs], y_row elements from one row to the next
  int64_t y_row, outputs;
  const float* bias;  // [outputs]; null: none
  int64_t begin, end;
};

/// The kernels of one instruction set.
struct FewRows {
  void (*multiply)(const FewRowsTask& task);
  void (*multiply_int8)(const Int8RowsTask& task);
  /// A group of a panel as numbers, y [16, 32] with y_row elements from one row to the next.
  void (*unpack_int8)(const uint8_t* w, const bf16* scales, float* y, int64_t y_row);
};

const FewRows& few_rows();

}  // namespace vitrail::kernels
