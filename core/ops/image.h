// Operations on images [B, C, H, W]: convolution, pooling, patches, resampling.
#pragma once

#include "vitrail/core/ops/reduce.h"
#include "vitrail/core/tensor.h"

namespace vitrail::core {

struct ConvOptions {
  int64_t stride = 1;
  int64_t padding = 0;
};
/// x [B, C, H, W], weight [O, C, kh, kw], bias [O] or undefined -> [B, O, H', W'].
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options);
Tensor conv2d_backward_input(const Tensor& dy, const Tensor& weight, const Shape& x_shape, const ConvOptions& options);
Tensor conv2d_backward_weight(const Tensor& dy, const Tensor& x, const Shape& weight_shape, const ConvOptions& options);
/// Maxima of windows of size x size. Padding counts as minus infinity. indices: flat positions in each plane, i64.
MaxOut max_pool2d(const Tensor& x, int64_t size, int64_t stride, int64_t padding);
Tensor max_pool2d_backward(const Tensor& dy, const Tensor& indices, const Shape& x_shape);

/// Means over windows of size x size. Padding counts as zeros, as in PyTorch (count_include_pad).
Tensor avg_pool2d(const Tensor& x, int64_t size, int64_t stride, int64_t padding = 0);
Tensor avg_pool2d_backward(const Tensor& dy, const Shape& x_shape, int64_t size, int64_t stride, int64_t padding = 0);

/// Height and width.
struct Grid {
  int64_t height = 0, width = 0;
  bool operator==(const Grid&) const = default;
};
enum class Interpolation { nearest, bilinear, bicubic };
/// Resizes x [B, C, H, W] -> [B, C, size.height, size.width] as PyTorch's interpolate(align_corners=False): half-pixel
/// centres, bicubic with a = -0.75, no antialiasing, and nearest with floor(i * from / to).
Tensor interpolate(const Tensor& x, Grid size, Interpolation mode = Interpolation::nearest);
/// The transpose of interpolate: dx from dy.
Tensor interpolate_backward(const Tensor& dy, Grid x_size, Interpolation mode);

/// Cuts images into patches, each as (c, y, x): [B, C, H, W] -> [B, H/P * W/P, C * P * P]. H and W are multiples of P.
Tensor patchify(const Tensor& images, int64_t patch_size);
Tensor unpatchify(const Tensor& patches, int64_t patch_size, const Shape& image_shape);
/// How a table of positions is resampled to another grid. A comment says who uses the rule.
enum class PosInterp {
  scale_offset,    // DINO, DINOv2: bicubic a = -0.75 by scale (n_new + 0.1) / n_old, no antialias
  size_antialias,  // timm, DINOv2 with registers: bicubic a = -0.5 by size, antialiased
  size,            // Hugging Face, DeiT fine-tuning: bicubic a = -0.75 by size, half-pixel centres
  align_corners,   // torchvision: bicubic a = -0.75, corners aligned
  zoom_linear,     // original ViT in JAX: bilinear, corners aligned
};
/// table [from.height * from.width, C] -> [to.height * to.width, C], in f32 (f64 for f64).
Tensor resample_positions(const Tensor& table, Grid from, Grid to, PosInterp mode);
/// The transpose of resample_positions: gradient of the table from the gradient of its result.
Tensor resample_positions_backward(const Tensor& dy, Grid from, Grid to, PosInterp mode);

}  // namespace vitrail::core
