#include "vitrail/core/dnnl/conv.h"

#include "vitrail/core/error.h"
#include "vitrail/core/kernels/f64_conv.h"
#include "vitrail/core/kernels/rows.h"
#include "vitrail/core/ops/image.h"

namespace vitrail::core {
namespace {

ConvShape check_shape(const Shape& x, const Shape& weight, const ConvOptions& o, std::string_view op) {
  check<ShapeError>(x.rank() == 4 && weight.rank() == 4 && x[1] == weight[1], op,
                    "x is {}, weight is {}; needs x [B, C, H, W] and weight [O, C, kh, kw]", x, weight);
  check<ShapeError>(o.stride >= 1 && o.padding >= 0, op, "stride is {}, padding is {}; needs 1 and 0 or more", o.stride,
                    o.padding);
  check<ShapeError>(
      weight[2] >= 1 && weight[3] >= 1 && x[2] + 2 * o.padding >= weight[2] && x[3] + 2 * o.padding >= weight[3], op,
      "x is {}, weight is {}; the window does not fit with padding {}", x, weight, o.padding);
  return {x[0], x[1], x[2], x[3], weight[0], weight[2], weight[3], o.stride, o.padding};
}

Shape y_shape(const ConvShape& s) { return {s.batch, s.out_chans, s.out_height(), s.out_width()}; }

void check_dy(const Tensor& dy, const ConvShape& s, const Shape& x, const Shape& weight, std::string_view op) {
  check<ShapeError>(dy.shape() == y_shape(s), op, "dy is {}, x is {}, weight is {}; dy must be {}", dy.shape(), x,
                    weight, y_shape(s));
}

void check_types(const Tensor& a, const Tensor& b, std::string_view op) {
  const bool ok =
      is_floating(a.dtype()) && is_floating(b.dtype()) && (a.dtype() == DType::f64) == (b.dtype() == DType::f64);
  check<ShapeError>(ok, op, "cannot convolve {} {} with {} {}; give f32 and bf16, or f64 alone", a.dtype(), a.shape(),
                    b.dtype(), b.shape());
}

/// Dense and in the type of the computation: bf16 runs in f32, since oneDNN has fast bf16 code on few processors only.
Tensor operand(const Tensor& t) { return t.to(compute_dtype(t.dtype())).contiguous(); }

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  const ConvShape s = check_shape(x.shape(), weight.shape(), options, "conv2d");
  check_types(x, weight, "conv2d");
  check<ShapeError>(!bias.defined() || bias.shape() == Shape{s.out_chans}, "conv2d", "bias is {}, weight is {}",
                    bias.shape(), weight.shape());
  const Tensor in = operand(x), filter = operand(weight);
  const Tensor addend = bias.defined() ? bias.to(in.dtype()).contiguous() : bias;
  Tensor y = Tensor::empty(y_shape(s), in.dtype());
  if (in.dtype() == DType::f32 && y.numel() > 0 && s.in_chans > 0) {
    dnnl::conv_forward(s, in.data<float>(), filter.data<float>(), bias.defined() ? addend.data<float>() : nullptr,
                       y.data<float>());
    return y.to(x.dtype());
  }
  y.zero_();
  if (bias.defined()) y.copy_(addend.reshape({1, s.out_chans, 1, 1}));
  if (in.dtype() == DType::f64)
    kernels::f64::conv_forward(s, in.data<double>(), filter.data<double>(), y.data<double>());
  return y.to(x.dtype());
}

Tensor conv2d_backward_input(const Tensor& dy, const Tensor& weight, const Shape& x_shape, const ConvOptions& options) {
  const ConvShape s = check_shape(x_shape, weight.shape(), options, "conv2d_backward_input");
  check_dy(dy, s, x_shape, weight.shape(), "conv2d_backward_input");
  check_types(dy, weight, "conv2d_backward_input");
  const Tensor gradient = operand(dy), filter = operand(weight);
  Tensor dx = Tensor::empty(x_shape, gradient.dtype());
  if (dx.numel() > 0 && dy.numel() > 0 && dx.dtype() == DType::f32)
    dnnl::conv_backward_input(s, gradient.data<float>(), filter.data<float>(), dx.data<float>());
  else
    dx.zero_();
  if (dx.dtype() == DType::f64)
    kernels::f64::conv_backward_input(s, gradient.data<double>(), filter.data<double>(), dx.data<double>());
  return dx.to(dy.dtype());
}

Tensor conv2d_backward_weight(const Tensor& dy, const Tensor& x, const Shape& weight_shape,
                              const ConvOptions& options) {
  const ConvShape s = check_shape(x.shape(), weight_shape, options, "conv2d_backward_weight");
  check_dy(dy, s, x.shape(), weight_shape, "conv2d_backward_weight");
  check_types(dy, x, "conv2d_backward_weight");
  const Tensor gradient = operand(dy), in = operand(x);
  Tensor dweight = Tensor::empty(weight_shape, in.dtype());
  if (in.numel() > 0 && dy.numel() > 0 && in.dtype() == DType::f32)
    dnnl::conv_backward_weight(s, gradient.data<float>(), in.data<float>(), dweight.data<float>());
  else
    dweight.zero_();
  if (in.dtype() == DType::f64)
    kernels::f64::conv_backward_weight(s, gradient.data<double>(), in.data<double>(), dweight.data<double>());
  return dweight;
}

}  // namespace vitrail::core
