#include "vitrail/core/ops/matmul.h"

#include "vitrail/core/error.h"
#include "vitrail/core/kernels/few_rows.h"
#include "vitrail/core/kernels/multiply.h"
#include "vitrail/core/parallel.h"

namespace vitrail::core {
namespace {

/// The matrix at index of the leading axes of t, counted in row-major order.
template <class T, class AnyTensor>
Matrix<T> matrix_at(AnyTensor& t, int64_t index) {
  int64_t offset = 0;
  for (int axis = t.rank() - 3; axis >= 0; --axis) {
    offset += index % t.size(axis) * t.stride(axis);
    index /= t.size(axis);
  }
  return {t.template data<std::remove_const_t<T>>() + offset, t.size(-2), t.size(-1), t.stride(-2), t.stride(-1)};
}

/// Returns t if multiply() can read its matrices in place, else a dense copy. The f64 loops run along rows, so f64 is
/// always made dense.
template <class In>
Tensor readable(const Tensor& t) {
  return !std::is_same_v<In, double> && core::readable(matrix_at<const In>(t, 0)) ? t : t.contiguous();
}

/// Many products run in parallel, one on each thread. Few products run in turn, each on all threads.
template <class In, class Out>
void multiply_all(const Tensor& a, const Tensor& b, const Tensor& bias, Tensor& c) {
  const int64_t count = c.numel() / (c.size(-2) * c.size(-1));
  const auto* bias_data = bias.defined() ? bias.data<compute_t<In>>() : nullptr;
  const auto one = [&](int64_t i) {
    multiply(matrix_at<const In>(a, i), matrix_at<const In>(b, i), matrix_at<Out>(c, i), bias_data);
  };
  parallel_for(count, count < num_threads() ? count : 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) one(i);
  });
}

template <class In, class Out>
void product_into(Tensor& c, const Tensor& a, const Tensor& b, const Tensor& bias) {
  const Shape& shape = c.shape();
  const auto expanded = [&](const Tensor& t) {
    return readable<In>(t).expand(shape.with(-2, t.size(-2)).with(-1, t.size(-1)));
  };
  multiply_all<In, Out>(expanded(a), expanded(b), bias, c);
}

/// bf16 on processors without bf16 instructions is computed in f32.
DType factor_type(const Tensor& a, const Tensor& b) {
  if (a.dtype() == b.dtype() && a.dtype() != DType::bf16) return a.dtype();
  return native_bf16() ? DType::bf16 : DType::f32;
}

/// Few rows times bf16 weights that lie output by output: the product that reads every weight once, in place.
bool has_few_rows(const Tensor& a, const Tensor& b) {
  return a.rank() == 2 && b.rank() == 2 && a.size(0) <= kernels::kFewRows && a.dtype() != DType::f64 &&
         b.dtype() == DType::bf16 && b.stride(0) == 1 && a.numel() > 0 && b.numel() > 0;
}

Tensor product_of_few_rows(const Tensor& a, const Tensor& b, const Tensor& bias) {
  const Tensor x = a.to(DType::f32).contiguous();
  const Tensor addend = bias.defined() ? bias.to(DType::f32).contiguous() : bias;
  Tensor c = Tensor::empty({a.size(0), b.size(1)});
  multiply_few(matrix_at<const float>(x, 0), matrix_at<const bf16>(b, 0).transposed(), matrix_at<float>(c, 0),
               addend.defined() ? addend.data<float>() : nullptr);
  return c;
}

/// a [..., M, K] b [..., K, N] + bias, leading axes broadcast; shapes and types are checked already.
Tensor product(const Tensor& a, const Tensor& b, const Tensor& bias, DType out_dtype, std::string_view op) {
  if (has_few_rows(a, b)) return product_of_few_rows(a, b, bias).to(out_dtype);
  Shape shape = broadcast(a.shape().with(-2, 1).with(-1, 1), b.shape().with(-2, 1).with(-1, 1), op);
  shape = shape.with(-2, a.size(-2)).with(-1, b.size(-1));
  const DType type = factor_type(a, b);
  Tensor c = Tensor::empty(shape, out_dtype == DType::bf16 ? type : out_dtype);
  const Tensor addend = bias.defined() ? bias.to(type == DType::f64 ? DType::f64 : DType::f32).contiguous() : bias;
  if (c.numel() == 0 || a.size(-1) == 0) {
    c.zero_();
    if (bias.defined()) c.copy_(bias);
    return c.to(out_dtype);
  }
  const Tensor left = a.to(type), right = b.to(type);
  if (type == DType::f64)
    product_into<double, double>(c, left, right, addend);
  else if (type == DType::f32)
    product_into<float, float>(c, left, right, addend);
  else if (c.dtype() == DType::bf16)
    product_into<bf16, bf16>(c, left, right, addend);
  else
    product_into<bf16, float>(c, left, right, addend);
  return c.to(out_dtype);
}

void check_types(const Tensor& a, const Tensor& b, DType out, std::string_view op) {
  const bool both_f64 = a.dtype() == DType::f64 && b.dtype() == DType::f64 && out == DType::f64;
  const auto is_short = [](DType d) { return d == DType::f32 || d == DType::bf16; };
  check<ShapeError>(both_f64 || (is_short(a.dtype()) && is_short(b.dtype()) && is_short(out)), op,
                    "cannot multiply {} {} by {} {} to {}; give f32 and bf16, or f64 alone", a.dtype(), a.shape(),
                    b.dtype(), b.shape(), out);
}

/// [..., C] as [rows, C]: a view where strides allow it.
Tensor as_rows(const Tensor& x) {
  const int64_t cols = x.size(-1), rows = x.numel() / std::max<int64_t>(cols, 1);
  bool dense_rows = x.rank() > 0;
  for (int axis = 0; axis + 2 < x.rank(); ++axis)
    dense_rows = dense_rows && x.stride(axis) == x.stride(axis + 1) * x.size(axis + 1);
  const int64_t lead = cols > 0 ? rows : x.shape().without(-1).numel();
  return (dense_rows ? x : x.contiguous()).reshape({lead, cols});
}

void check_weight(const Tensor& x, const Tensor& weight, int weight_axis, std::string_view op, std::string_view name) {
  check<ShapeError>(weight.rank() == 2 && x.rank() >= 1 && x.size(-1) == weight.size(weight_axis), op,
                    "{} is {}, weight is {}; the last size of {} must be size {} of weight [out, in]", name, x.shape(),
                    weight.shape(), name, weight_axis);
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b, Trans trans_a, Trans trans_b, std::optional<DType> out_dtype) {
  check<ShapeError>(a.rank() >= 2 && b.rank() >= 2, "matmul", "needs two axes or more: a is {}, b is {}", a.shape(),
                    b.shape());
  const DType out = out_dtype.value_or(a.dtype());
  check_types(a, b, out, "matmul");
  const Tensor left = trans_a == Trans::yes ? a.transpose(-1, -2) : a;
  const Tensor right = trans_b == Trans::yes ? b.transpose(-1, -2) : b;
  check<ShapeError>(left.size(-1) == right.size(-2), "matmul", "inner sizes differ: a is {}{}, b is {}{}; {} != {}",
                    a.shape(), trans_a == Trans::yes ? " transposed" : "", b.shape(),
                    trans_b == Trans::yes ? " transposed" : "", left.size(-1), right.size(-2));
  for (int i = 3; i <= std::min(a.rank(), b.rank()); ++i)
    check<ShapeError>(a.size(-i) == b.size(-i) || a.size(-i) == 1 || b.size(-i) == 1, "matmul",
                      "leading axes do not broadcast: a is {}, b is {}; {} against {}", a.shape(), b.shape(),
                      a.size(-i), b.size(-i));
  const bool rows_of_one_matrix = b.rank() == 2 && a.rank() > 2 && trans_a == Trans::no;
  if (!rows_of_one_matrix) return product(left, right, {}, out, "matmul");
  return product(as_rows(left), right, {}, out, "matmul").reshape(a.shape().with(-1, right.size(-1)));
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, std::optional<DType> out_dtype) {
  check_weight(x, weight, 1, "linear", "x");
  const int64_t out_features = weight.size(0);
  check<ShapeError>(!bias.defined() || bias.shape() == Shape{out_features}, "linear",
                    "bias is {}, weight is {}; bias must be [{}]", bias.shape(), weight.shape(), out_features);
  const DType out = out_dtype.value_or(x.dtype());
  check_types(x, weight, out, "linear");
  return product(as_rows(x), weight.transpose(0, 1), bias, out, "linear").reshape(x.shape().with(-1, out_features));
}

Tensor linear_backward_input(const Tensor& dy, const Tensor& weight, std::optional<DType> out_dtype) {
  check_weight(dy, weight, 0, "linear_backward_input", "dy");
  const DType out = out_dtype.value_or(dy.dtype());
  check_types(dy, weight, out, "linear_backward_input");
  return product(as_rows(dy), weight, {}, out, "linear_backward_input").reshape(dy.shape().with(-1, weight.size(1)));
}

Tensor linear_backward_weight(const Tensor& dy, const Tensor& x) {
  const bool same_rows = dy.rank() >= 1 && dy.rank() == x.rank() && dy.shape().without(-1) == x.shape().without(-1);
  check<ShapeError>(same_rows, "linear_backward_weight", "leading sizes differ: dy is {}, x is {}", dy.shape(),
                    x.shape());
  const DType out = dy.dtype() == DType::f64 ? DType::f64 : DType::f32;
  check_types(dy, x, out, "linear_backward_weight");
  return product(as_rows(dy).transpose(0, 1), as_rows(x), {}, out, "linear_backward_weight");
}

}  // namespace vitrail::core
