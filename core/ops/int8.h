// Weights of 8 bits: half the memory of bf16, so a decoder reads them in half the time. For inference alone.
#pragma once

#include "vitrail/core/tensor.h"

#include <optional>

namespace vitrail::core {

/// A matrix [out, in] of 8-bit numbers q, with one scale for every 32 inputs of an output: 1.06 bytes a weight. The
/// element is scale q, off by at most half a scale, which is the group's largest element / 127 and at most 0.8% more.
struct Int8Matrix {
  int64_t out = 0, in = 0;
  Tensor values;  // u8, in the order of the kernels, filled up to 16 outputs and 32 inputs
  Tensor scales;  // bf16

  /// Bytes of memory.
  int64_t nbytes() const { return values.nbytes() + scales.nbytes(); }
};

/// weight [out, in], f32 or bf16. Throws ShapeError for another rank or type, an empty matrix, or an element that is
/// not finite.
Int8Matrix quantize_int8(const Tensor& weight);
/// The matrix as a tensor [out, in]; dtype is f32 or bf16.
Tensor dequantize(const Int8Matrix& weight, DType dtype);

/// x [..., in] -> x weight' + bias [..., out] in out_dtype (x's if not given); f32 and bf16. bias [out] or undefined.
/// Up to 8 rows of x are rounded to 8 bits too, in groups of 32 with an f32 scale each. More rows meet the
/// dequantized weights in x's type.
Tensor linear(const Tensor& x, const Int8Matrix& weight, const Tensor& bias, std::optional<DType> out_dtype = {});

}  // namespace vitrail::core
