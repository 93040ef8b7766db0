#include "vitrail/autograd/ops/matmul.h"

#include "vitrail/autograd/macs.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops/elementwise.h"
#include "vitrail/core/ops/norm.h"
#include "vitrail/core/ops/reduce.h"

namespace vitrail::ag {
namespace {

thread_local int64_t macs_done = 0;

/// bf16 under autocast unless x is f64, else x's own type.
DType compute_type(const Var& x) {
  return Autocast::dtype() == DType::bf16 && x.dtype() != DType::f64 ? DType::bf16 : x.dtype();
}

}  // namespace

void count_macs(int64_t n) { macs_done += n; }
int64_t macs() { return macs_done; }

Var matmul(const Var& a, const Var& b, Trans trans_a, Trans trans_b, std::optional<DType> out_dtype) {
  const DType type = compute_type(a);
  const Tensor x = a.value_as(type), w = b.value_as(type);
  Tensor y = core::matmul(x, w, trans_a, trans_b, out_dtype);
  count_macs(y.numel() * x.size(trans_a == Trans::no ? -1 : -2));
  return record("matmul", std::move(y), {a, b},
                [x, w, trans_a, trans_b, type, a_type = a.dtype(), b_type = b.dtype()](const Tensor& dy, Sink& dx) {
                  const bool ta = trans_a == Trans::yes, tb = trans_b == Trans::yes;
                  const auto trans = [](bool t) { return t ? Trans::yes : Trans::no; };
                  const Tensor g = dy.to(type);
                  // y = op(a) op(b):  d op(a) = dy op(b)',  d op(b) = op(a)' dy; a transposed factor transposes both.
                  if (dx.wants(0))
                    dx.add(0, ta ? core::matmul(w, g, trans(tb), Trans::yes, a_type)
                                 : core::matmul(g, w, Trans::no, trans(!tb), a_type));
                  if (dx.wants(1))
                    dx.add(1, tb ? core::matmul(g, x, Trans::yes, trans(ta), b_type)
                                 : core::matmul(x, g, trans(!ta), Trans::no, b_type));
                });
}

Var linear(const Var& x, const Var& weight, const Var& bias, std::optional<DType> out_dtype) {
  const DType type = compute_type(x);
  const Tensor w = weight.value_as(type);
  Tensor y = core::linear(x.value_as(type), w, bias.value(), type == DType::bf16 ? out_dtype : std::nullopt);
  count_macs(y.numel() * w.size(1));
  const auto input =
      weight.requires_grad() ? std::optional(Saved(x, type)) : std::nullopt;  // a frozen weight needs none
  return record("linear", std::move(y), {x, weight, bias},
                [input, w, type, x_type = x.dtype()](const Tensor& dy, Sink& dx) {
                  const Tensor g = dy.to(type);
                  if (dx.wants(0)) dx.add(0, core::linear_backward_input(g, w, x_type));      // [..., in]
                  if (dx.wants(1)) dx.add(1, core::linear_backward_weight(g, input->get()));  // [out, in]
                  if (dx.wants(2))                                                            // [out]
                    dx.add(2, core::sum_to(dy, {w.size(0)}, dy.dtype() == DType::f64 ? DType::f64 : DType::f32));
                });
}

Var linear(const Var& x, const core::Int8Matrix& weight, const Var& bias, std::optional<DType> out_dtype) {
  check<TapeError>(!x.requires_grad() && !bias.requires_grad(), "linear",
                   "int8 weights [{}, {}] pass no gradient; open the model without int8 to train it", weight.out,
                   weight.in);
  const DType type = compute_type(x);
  Tensor y = core::linear(x.value_as(type), weight, bias.value(), type == DType::bf16 ? out_dtype : std::nullopt);
  count_macs(y.numel() * weight.in);
  return record("linear", std::move(y), {x, bias}, {});
}

Var weight_norm_linear(const Var& x, const Var& v, const Var& g) {
  const DType type = compute_type(x);
  const auto result = type == DType::bf16 ? std::optional(DType::f32) : std::nullopt;
  const int64_t in = v.value().size(-1), rows = in == 0 ? 0 : x.value().numel() / in;
  // For a few rows it is cheaper to scale what the directions give, twice, than to form a weight [out, in]. In bf16 the
  // weight is converted anyway.
  const bool formed = type == DType::bf16 || 2 * rows > in;
  Tensor weight, norm, scale;  // [out, in], [out], [out]
  if (formed) {
    core::WeightNorm normalised = core::weight_norm(v.value(), g.value(), type);
    weight = normalised.w;
    norm = normalised.norm;
  } else {
    weight = v.value_as(type);
    norm = core::l2_norm(v.value());
    scale = core::div(g.value(), norm.unsqueeze(1)).reshape({-1});
  }
  Tensor y = core::linear(x.value_as(type), weight, {}, result);  // [..., out]
  if (!formed) y = core::mul(y, scale);
  count_macs(y.numel() * in);
  return record("weight_norm_linear", std::move(y), {x, v, g},
                [input = Saved(x, type), weight, v = v.value(), g = g.value(), norm, scale, type, x_type = x.dtype()](
                    const Tensor& dy, Sink& dx) {
                  const Tensor of_y = dy.to(type);
                  if (dx.wants(0)) {
                    const Tensor scaled = scale.defined() ? core::mul(dy, scale).to(type) : of_y;
                    dx.add(0, core::linear_backward_input(scaled, weight, x_type));
                  }
                  if (!dx.wants(1) && !dx.wants(2)) return;
                  Tensor dv = core::linear_backward_weight(of_y, input.get());  // by the weight: [out, in]
                  Tensor dg = core::weight_norm_backward_(dv, v, g, norm);
                  dx.add(1, std::move(dv));
                  dx.add(2, std::move(dg));  // [out, 1]
                });
}

}  // namespace vitrail::ag
