// Normalisation, with the gradients.
#pragma once

#include "vitrail/core/tensor.h"

#include <optional>

namespace vitrail::core {

/// Normalises the last axis: y = (x - mean) * rstd * weight + bias.
/// Shape:  x [..., C], weight [C], bias [C] -> y [..., C]; mean, rstd [...] (f32 for bf16 x).
/// Dtype:  weight and bias are f32 for bf16 x. out_dtype: type of y if not x's (f32 residual stream, bf16 y).
/// Source: Ba et al. 2016 (arXiv:1607.06450), eq. 3; biased variance.
struct LayerNormOut {
  Tensor y, mean, rstd;
};
LayerNormOut layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps,
                        std::optional<DType> out_dtype = {});
/// dx in x's type; weight and bias gradients f32 (f64 for f64), summed in fixed chunks.
struct NormGrads {
  Tensor x, weight, bias;
};
NormGrads layer_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& mean,
                              const Tensor& rstd);
/// y = x * rstd * weight, rstd = (mean(x^2) + eps)^-1/2. Zhang and Sennrich 2019 (arXiv:1910.07467). mean is undefined.
LayerNormOut rms_norm(const Tensor& x, const Tensor& weight, double eps);
NormGrads rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd);
/// Normalises each channel of [B, C, H, W] or [B, C] by its batch statistics. Also returns the mean and the biased
/// variance, [C], for running averages. Source: Ioffe and Szegedy 2015 (arXiv:1502.03167).
struct BatchNormOut {
  Tensor y, mean, var;
};
BatchNormOut batch_norm_train(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps);
Tensor batch_norm_eval(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& mean, const Tensor& var,
                       double eps);
NormGrads batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& mean,
                              const Tensor& var, double eps);
/// x / max(|x|_2, eps) over the last axis; norm [...] is |x|_2.
struct L2NormOut {
  Tensor y, norm;
};
L2NormOut l2_normalize(const Tensor& x, double eps = 1e-12);
Tensor l2_normalize_backward(const Tensor& dy, const Tensor& y, const Tensor& norm, double eps = 1e-12);
/// |x|_2 over the last axis: [..., C] -> [...], f32 for bf16 x.
Tensor l2_norm(const Tensor& x);
/// w = g v / |v|, row by row, in that type, and |v|. Shape:  v [out, in], g [out, 1] -> w [out, in], norm [out].
/// Source: Salimans and Kingma 2016 (arXiv:1602.07868), eq. 2.
struct WeightNorm {
  Tensor w, norm;
};
WeightNorm weight_norm(const Tensor& v, const Tensor& g, DType type);
/// The backward of w = g v / norm, row by row, with norm = |v|: turns dw into dv in place and returns dg.
/// Shape:  dw, v [out, in], both dense and of one type; g [out, 1], norm [out] -> [out, 1].
/// Source: Salimans and Kingma 2016 (arXiv:1602.07868), eq. 3.
Tensor weight_norm_backward_(Tensor& dw, const Tensor& v, const Tensor& g, const Tensor& norm);

}  // namespace vitrail::core
