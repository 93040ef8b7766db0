#include "vitrail/autograd/ops/norm.h"

#include "vitrail/autograd/ops/elementwise.h"
#include "vitrail/autograd/ops/shape.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops/activation.h"
#include "vitrail/core/ops/reduce.h"

namespace vitrail::ag {
namespace {

/// The type of a normalised result: bf16 under autocast, so that the next matrix products read bf16.
std::optional<DType> result_type(const Var& x) {
  return Autocast::dtype() == DType::bf16 && x.dtype() == DType::f32 ? std::optional(DType::bf16) : std::nullopt;
}

void deliver(Sink& dx, core::NormGrads g) {
  dx.add(0, std::move(g.x));       // as x
  dx.add(1, std::move(g.weight));  // [C]
  if (g.bias.defined()) dx.add(2, std::move(g.bias));
}

}  // namespace

Var layer_norm(const Var& x, const Var& weight, const Var& bias, double eps, std::optional<DType> out_dtype) {
  const auto type = out_dtype ? out_dtype : result_type(x);
  core::LayerNormOut out = core::layer_norm(x.value(), weight.value(), bias.value(), eps, type);
  Var y = record("layer_norm", out.y, {x, weight, bias},
                 [x = x.value(), w = weight.value(), mean = out.mean, rstd = out.rstd](const Tensor& dy, Sink& dx) {
                   deliver(dx, core::layer_norm_backward(dy, x, w, mean, rstd));
                 });
  return recomputable(std::move(y), [x = x.value(), w = weight.value(), b = bias.value(), eps, type] {
    return core::layer_norm(x, w, b, eps, type).y;
  });
}

Var rms_norm(const Var& x, const Var& weight, double eps) {
  const DType type = result_type(x).value_or(x.dtype());
  core::LayerNormOut out = core::rms_norm(x.value(), weight.value(), eps);
  Var y = record("rms_norm", out.y.to(type), {x, weight},
                 [x = x.value(), w = weight.value(), rstd = out.rstd](const Tensor& dy, Sink& dx) {
                   deliver(dx, core::rms_norm_backward(dy, x, w, rstd));
                 });
  return recomputable(std::move(y),
                      [x = x.value(), w = weight.value(), eps, type] { return core::rms_norm(x, w, eps).y.to(type); });
}

Var batch_norm_train(const Var& x, const Var& weight, const Var& bias, double eps,
                     const std::function<void(const Tensor&, const Tensor&)>& on_statistics) {
  core::BatchNormOut out = core::batch_norm_train(x.value(), weight.value(), bias.value(), eps);
  if (on_statistics) on_statistics(out.mean, out.var);
  return record("batch_norm_train", out.y, {x, weight, bias},
                [x = x.value(), w = weight.value(), mean = out.mean, var = out.var, eps](const Tensor& dy, Sink& dx) {
                  deliver(dx, core::batch_norm_backward(dy, x, w, mean, var, eps));
                });
}

Var batch_norm_eval(const Var& x, const Var& weight, const Var& bias, const Tensor& mean, const Tensor& var,
                    double eps) {
  // With fixed statistics y is linear in x: y = (x - mean) * rstd * weight + bias, channel by channel.
  Tensor y = core::batch_norm_eval(x.value(), weight.value(), bias.value(), mean, var, eps);
  return record(
      "batch_norm_eval", std::move(y), {x, weight, bias},
      [x = x.value(), w = weight.value(), mean = mean.clone(), var = var.clone(), eps](const Tensor& dy, Sink& dx) {
        const auto channels = [&](const Tensor& t) { return x.rank() == 4 ? t.reshape({-1, 1, 1}) : t; };
        const Tensor g = dy.to(w.dtype()), std = core::sqrt(core::affine(var, 1, eps));
        std::vector<int> axes{0};
        if (x.rank() == 4) axes = {0, 2, 3};
        if (dx.wants(0)) dx.add(0, core::mul(g, channels(core::div(w, std))).to(x.dtype()));
        if (dx.wants(1)) {
          const Tensor x_hat = core::div(core::sub(x.to(w.dtype()), channels(mean)), channels(std));
          dx.add(1, core::sum(core::mul(g, x_hat), axes));
        }
        if (dx.wants(2)) dx.add(2, core::sum(g, axes));
      });
}

Var group_norm(const Var& x, int64_t groups, const Var& weight, const Var& bias, double eps) {
  check<ShapeError>(x.rank() >= 2 && groups > 0 && x.size(1) % groups == 0, "group_norm",
                    "x is {}, groups is {}; needs [B, C, ...] with C a multiple of groups", x.shape(), groups);
  const int64_t channels = x.size(1), length = x.value().numel() / std::max<int64_t>(x.size(0) * groups, 1);
  const DType stats = x.dtype() == DType::f64 ? DType::f64 : DType::f32;
  const Var rows = reshape(x, {x.size(0), groups, length});
  const Var normalised = layer_norm(rows, ones({length}, stats), zeros({length}, stats), eps, x.dtype());
  Shape by_channel{channels};
  for (int axis = 2; axis < x.rank(); ++axis) by_channel = by_channel.insert(by_channel.rank(), 1);
  return reshape(normalised, x.shape()) * reshape(cast(weight, x.dtype()), by_channel) +
         reshape(cast(bias, x.dtype()), by_channel);
}

Var l2_normalize(const Var& x, double eps) {
  core::L2NormOut out = core::l2_normalize(x.value(), eps);
  return record("l2_normalize", out.y, {x}, [y = out.y, norm = out.norm, eps](const Tensor& dy, Sink& dx) {
    dx.add(0, core::l2_normalize_backward(dy, y, norm, eps));
  });
}

}  // namespace vitrail::ag
