// Every kernel, declared and documented. Inputs are any strided tensors of one floating type unless a line says
// otherwise; outputs are new dense tensors. f32 and bf16 run fast kernels (oneDNN or vectorised loops, statistics and
// sums in f32); f64 runs the plain loops of core/reference/, which define each op.
// All throw ShapeError naming the op, what was given and what is needed.
#pragma once

#include "vitrail/core/tensor.h"

#include <optional>
#include <vector>

namespace vitrail::core {

enum class Trans { no, yes };
enum class Gelu { erf, tanh, quick };  // exact; the tanh approximation; x * sigmoid(1.702 x)

// ---- elementwise.cpp: broadcasting arithmetic ---------------------------------------------------------------------
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
/// x * factor + offset.
Tensor affine(const Tensor& x, double factor, double offset = 0);
/// mask != 0 ? a : b. mask is u8; all three broadcast.
Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b);

/// In place: a += factor * b (b broadcasts to a), a *= factor, a = a + t (b - a).
void add_(Tensor& a, const Tensor& b, double factor = 1);
void scale_(Tensor& a, double factor);
void lerp_(Tensor& a, const Tensor& b, double t);

// ---- activation.cpp: functions of one element. *_backward returns dx from dy and the x of the forward --------------
Tensor neg(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor relu(const Tensor& x);
Tensor relu_backward(const Tensor& dy, const Tensor& x);
Tensor silu(const Tensor& x);
Tensor silu_backward(const Tensor& dy, const Tensor& x);
/// Hendrycks and Gimpel 2016 (arXiv:1606.08415).
Tensor gelu(const Tensor& x, Gelu kind = Gelu::erf);
Tensor gelu_backward(const Tensor& dy, const Tensor& x, Gelu kind = Gelu::erf);
/// SiLU(a) * b where x = [a | b] along the last axis. x [..., 2H] -> [..., H].
Tensor swiglu(const Tensor& x);
Tensor swiglu_backward(const Tensor& dy, const Tensor& x);

// ---- reduce.cpp ---------------------------------------------------------------------------------------------------
/// Over the given axes (all if empty). Fixed chunks: the result does not depend on the thread count.
Tensor sum(const Tensor& x, const std::vector<int>& axes = {}, bool keepdim = false);
Tensor mean(const Tensor& x, const std::vector<int>& axes = {}, bool keepdim = false);
/// Undoes broadcasting: sums x down to shape, to which shape broadcasts to x's. out_dtype: of the sum, if not x's.
Tensor sum_to(const Tensor& x, const Shape& shape, std::optional<DType> out_dtype = {});
/// Over one axis; indices are i64, the first one on ties.
struct MaxOut {
  Tensor values, indices;
};
MaxOut max(const Tensor& x, int axis);
Tensor argmax(const Tensor& x, int axis);
/// The k largest of the last axis, largest first; ties by lower index. [..., N] -> values, indices [..., k].
MaxOut topk(const Tensor& x, int64_t k);
/// Over the last axis.
Tensor softmax(const Tensor& x);
Tensor softmax_backward(const Tensor& dy, const Tensor& y);
Tensor log_softmax(const Tensor& x);
Tensor log_softmax_backward(const Tensor& dy, const Tensor& y);
/// sqrt of the sum of squares of all elements, as double; fixed chunks.
double norm(const Tensor& x);
/// No NaN and no infinity among the elements.
bool all_finite(const Tensor& x);

// ---- matmul.cpp ---------------------------------------------------------------------------------------------------
/// a [..., M, K] (or [..., K, M] if trans_a) times b [..., K, N] (or [..., N, K]) -> [..., M, N]; leading axes
/// broadcast. out_dtype: f32 results of bf16 factors if given.
Tensor matmul(const Tensor& a, const Tensor& b, Trans trans_a = Trans::no, Trans trans_b = Trans::no,
              std::optional<DType> out_dtype = {});
/// x [..., in], weight [out, in], bias [out] or undefined -> x weight' + bias [..., out].
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, std::optional<DType> out_dtype = {});
/// dy [..., out], weight [out, in] -> dx [..., in] in out_dtype (dy's if not given).
Tensor linear_backward_input(const Tensor& dy, const Tensor& weight, std::optional<DType> out_dtype = {});
/// dy [..., out], x [..., in] -> dweight [out, in]; f32 for bf16 inputs.
Tensor linear_backward_weight(const Tensor& dy, const Tensor& x);

// ---- conv.cpp, pool.cpp: 2-d convolution and pooling on [B, C, H, W] ----------------------------------------------
struct ConvOptions {
  int64_t stride = 1;
  int64_t padding = 0;
};
/// x [B, C, H, W], weight [O, C, kh, kw], bias [O] or undefined -> [B, O, H', W'].
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options);
Tensor conv2d_backward_input(const Tensor& dy, const Tensor& weight, const Shape& x_shape, const ConvOptions& options);
Tensor conv2d_backward_weight(const Tensor& dy, const Tensor& x, const Shape& weight_shape, const ConvOptions& options);
/// Windows of size x size; padding counts as minus infinity. indices: flat position in each plane, i64.
MaxOut max_pool2d(const Tensor& x, int64_t size, int64_t stride, int64_t padding);
Tensor max_pool2d_backward(const Tensor& dy, const Tensor& indices, const Shape& x_shape);

// ---- norm.cpp -----------------------------------------------------------------------------------------------------
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
/// Per channel of [B, C, H, W] (or [B, C]), batch statistics; mean and biased variance [C] are returned for the running
/// averages. Ioffe and Szegedy 2015 (arXiv:1502.03167).
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
/// |x|_2 over the last axis: [..., C] -> [...] (f32 for bf16 x).
Tensor l2_norm(const Tensor& x);
/// For w = g v / norm, row by row, with norm = |v|: dw becomes dv, and dg is returned.
/// Shape:  dw, v [out, in], both dense and of one type; g [out, 1], norm [out] -> [out, 1].
/// Source: Salimans and Kingma 2016 (arXiv:1602.07868), eq. 3.
Tensor weight_norm_backward_(Tensor& dw, const Tensor& v, const Tensor& g, const Tensor& norm);

// ---- attention.cpp ------------------------------------------------------------------------------------------------
/// Which keys a query sees, and the scale of the scores. M queries, N keys.
struct AttentionOptions {
  double scale = 1;         // multiplies q k'
  bool causal = false;      // query i is token first_query + i of the sequence and sees keys 0 .. first_query + i
  int64_t first_query = 0;  // with a cache of keys, the number of keys before the first query
  int64_t prefix = 0;       // causal: the first so many keys are seen by all queries
  Tensor mask = {};         // u8 [B or 1, H or 1, M or 1, N]: 1 where a query may see a key; undefined: everywhere
};
/// softmax(scale q k' + bias) v, heads side by side. A query that sees no key gives zeros.
/// Shape:  q [B, H, M, D], k and v [B, H / G, N, D] in any strides (views of a packed projection) -> y [B, M, H * D].
///         Query head h reads key head h / G (grouped heads). bias [H or 1, M, N] or undefined. lse [B, H, M]: the log
///         of each row's sum of exponentials, kept for the backward function; 0 for a query that sees no key.
/// Dtype:  lse and bias are f32 for bf16 q.
/// Throws: ShapeError if sizes or types do not fit, or if first_query or prefix is negative.
/// Source: Vaswani et al. 2017 (arXiv:1706.03762), eq. 1; grouped heads: Ainslie et al. 2023 (arXiv:2305.13245).
struct AttentionOut {
  Tensor y, lse;
};
AttentionOut attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options,
                       const Tensor& bias = {});
/// Writes dq, dk, dv, which are views of the shapes of q, k, v (so one packed gradient can be filled in place).
/// Returns the gradient of bias if wants_bias, else an undefined tensor.
Tensor attention_backward(const Tensor& dy, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOut& out,
                          const AttentionOptions& options, Tensor dq, Tensor dk, Tensor dv, const Tensor& bias = {},
                          bool wants_bias = false);
/// The weights softmax(scale q k' + bias): [B, H, M, N].
Tensor attention_weights(const Tensor& q, const Tensor& k, const AttentionOptions& options, const Tensor& bias = {});

// ---- patch.cpp ----------------------------------------------------------------------------------------------------
/// Cuts images into patches, each as (c, y, x): [B, C, H, W] -> [B, H/P * W/P, C * P * P]. H and W are multiples of P.
Tensor patchify(const Tensor& images, int64_t patch_size);
Tensor unpatchify(const Tensor& patches, int64_t patch_size, const Shape& image_shape);
/// How a table of positions is resampled to another grid; the names say whose rule it is.
enum class PosInterp {
  scale_offset,    // DINO, DINOv2: bicubic a = -0.75 by scale (n_new + 0.1) / n_old, no antialias
  size_antialias,  // timm, DINOv2 with registers: bicubic a = -0.5 by size, antialiased
  size,            // Hugging Face, DeiT fine-tuning: bicubic a = -0.75 by size, half-pixel centres
  align_corners,   // torchvision: bicubic a = -0.75, corners aligned
  zoom_linear,     // original ViT in JAX: bilinear, corners aligned
};
struct Grid {
  int64_t height = 0, width = 0;
  bool operator==(const Grid&) const = default;
};
/// table [from.height * from.width, C] -> [to.height * to.width, C], in f32 (f64 for f64).
Tensor resample_positions(const Tensor& table, Grid from, Grid to, PosInterp mode);
/// The transpose of resample_positions: gradient of the table from the gradient of its result.
Tensor resample_positions_backward(const Tensor& dy, Grid from, Grid to, PosInterp mode);

// ---- indexing.cpp -------------------------------------------------------------------------------------------------
Tensor concat(const std::vector<Tensor>& parts, int axis);
/// Rows of table [V, ...] at ids (i64, any shape) -> [ids..., ...]. Throws naming an id outside [0, V).
Tensor embedding(const Tensor& table, const Tensor& ids);
/// Adds dy's rows into table_grad at ids, in order.
void embedding_backward_(Tensor& table_grad, const Tensor& dy, const Tensor& ids);
/// labels i64 [...] -> [..., classes] with off and on values.
Tensor one_hot(const Tensor& labels, int64_t classes, double on = 1, double off = 0, DType dtype = DType::f32);
/// x[..., index of the last axis at position]: x [N, K], index i64 [N] -> [N].
Tensor gather_last(const Tensor& x, const Tensor& index);

// ---- losses.cpp: one pass forward, one backward; f32 for bf16 logits ------------------------------------------------
/// Mean over rows of -sum(target * log_softmax(logits)); logits, target [N, K] -> scalar.
/// cross_entropy on labels i64 [N] spreads `smoothing` over all classes; rows labelled ignore_index do not count.
struct CrossEntropyOptions {
  double smoothing = 0;
  int64_t ignore_index = -100;
};
struct CrossEntropyOut {
  Tensor loss, log_probs;  // scalar, [N, K]
};
CrossEntropyOut cross_entropy(const Tensor& logits, const Tensor& labels, const CrossEntropyOptions& options);
Tensor cross_entropy_backward(const Tensor& dloss, const Tensor& log_probs, const Tensor& labels,
                              const CrossEntropyOptions& options);
CrossEntropyOut soft_cross_entropy(const Tensor& logits, const Tensor& target);
Tensor soft_cross_entropy_backward(const Tensor& dloss, const Tensor& log_probs, const Tensor& target);
/// Mean over all elements of binary cross entropy between sigmoid(logits) and target, as timm's BinaryCrossEntropy.
Tensor bce_with_logits(const Tensor& logits, const Tensor& target);
Tensor bce_with_logits_backward(const Tensor& dloss, const Tensor& logits, const Tensor& target);

}  // namespace vitrail::core
