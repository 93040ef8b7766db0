#include "vitrail/optim/lamb.h"

#include "vitrail/core/ops.h"
#include "vitrail/optim/chunks.h"

#include <algorithm>
#include <cmath>

namespace vitrail::optim {

Lamb::Lamb(const std::vector<ParamGroup>& groups, const LambOptions& options)
    : Optimizer(groups, {"exp_avg", "exp_avg_sq"}), options_(options) {
  check_betas(options.beta1, options.beta2);
}

void Lamb::begin_step(const std::vector<Slot>& slots) {
  grad_scale_ = 1;
  if (options_.max_grad_norm <= 0) return;
  double sum = 0;
  for (const Slot& slot : slots)
    if (slot.parameter->grad().defined()) sum += std::pow(core::norm(slot.parameter->grad()), 2);
  grad_scale_ = 1 / std::max(1.0, std::sqrt(sum) / options_.max_grad_norm);
}

void Lamb::update(const UpdateArgs& u) {
  dispatch_weight(u.value.dtype(), [&]<class T>(T) {
    const LambOptions& o = options_;
    const int64_t n = u.value.numel();
    T* p = u.value.data<T>();
    const T* g = u.grad.data<T>();
    T* m = u.slot.moments[0].data<T>();
    T* v = u.slot.moments[1].data<T>();
    const T beta1 = T(o.beta1), rest1 = T(1 - o.beta1), beta2 = T(o.beta2), rest2 = T(1 - o.beta2), eps = T(o.eps);
    const T first_scale = T(1 / (1 - std::pow(o.beta1, double(u.slot.step))));
    const T root_scale = T(1 / std::sqrt(1 - std::pow(o.beta2, double(u.slot.step))));
    const T grad_scale = T(grad_scale_), decay = T(u.weight_decay);
    const auto direction = [=](int64_t i) {
      return first_scale * m[i] / (std::sqrt(v[i]) * root_scale + eps) + decay * p[i];
    };

    const auto sums = sum_chunks<2>(n, [=](int64_t begin, int64_t end) {
      double values = 0, steps = 0;
#pragma omp simd reduction(+ : values, steps)
      for (int64_t i = begin; i < end; ++i) {
        const T grad = grad_scale * g[i];
        m[i] = beta1 * m[i] + rest1 * grad;
        v[i] = beta2 * v[i] + rest2 * grad * grad;
        const double value = p[i], step = direction(i);
        values += value * value;
        steps += step * step;
      }
      return std::array{values, steps};
    });
    const bool adapted = u.weight_decay != 0 && sums[0] > 0 && sums[1] > 0;
    const T rate = T(u.lr * (adapted ? std::sqrt(sums[0] / sums[1]) : 1));
    parallel_for(n, kChunk, [=](int64_t begin, int64_t end) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) p[i] -= rate * direction(i);
    });
  });
}

}  // namespace vitrail::optim
