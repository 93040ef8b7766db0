// Rotary positions: the place of a patch as a rotation of its queries and keys.
#pragma once

#include "vitrail/core/ops/image.h"

namespace vitrail::core {

/// The angles of the patches of a grid, as cosines and sines [N, D / 2]; undefined tensors: no rotation.
struct Rope {
  Tensor cos, sin;

  /// False for Rope().
  bool defined() const { return cos.defined(); }
};

/// Angles for heads of width D on a grid of N = height * width patches, row by row. The centre of a patch has the
/// coordinates 2 (i + 0.5) / size - 1 of its row and its column, in (-1, 1) whatever the size. The first D / 4 angles
/// are 2 pi row / period, the others 2 pi column / period, with the periods base^(4 j / D) for j < D / 4. Dtype:  f32
/// or f64, computed in double. Throws: ShapeError if D is not a multiple of 4, ConfigError if base is not above 0.
/// Source: Simeoni et al. 2025 (arXiv:2508.10104), DINOv3, without its random changes of the coordinates.
Rope make_rope(Grid grid, int64_t head_dim, double base, DType dtype);

/// Rotates the last N tokens of x [B, H, T, D] into y of the same shape; copies the others, which have no place.
/// Dimensions d and d + D / 2 turn by the angle d: (a, b) -> (a cos - b sin, b cos + a sin). inverse: by minus the
/// angles, which is the gradient of the rotation. Any strides with dense rows.
/// Dtype:  the angles are f64 for f64, else f32. bf16 is rotated in f32.
/// Throws: ShapeError if shapes, types or strides do not fit.
void rotate(const Tensor& x, const Rope& rope, bool inverse, Tensor y);

}  // namespace vitrail::core
