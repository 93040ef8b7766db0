#include "vitrail/optim/sgd.h"

#include "vitrail/core/error.h"
#include "vitrail/optim/chunks.h"

#include <cmath>

namespace vitrail::optim {

namespace {

const std::vector<std::string> kBuffer = {"momentum_buffer"};

/// p -= lr b after b = momentum b + fresh d, where d = grad_scale (g + wd p); with nesterov p -= lr (d + momentum b).
struct Descent {
  double lr, weight_decay;
  double grad_scale = 1;
  double momentum = 0;
  double fresh = 1;
  bool nesterov = false;
};

/// buffer: null without momentum.
void descend(Tensor& value, const Tensor& grad, Tensor* buffer, const Descent& d) {
  dispatch_weight(value.dtype(), [&]<class T>(T) {
    T* p = value.data<T>();
    const T* g = grad.data<T>();
    const T lr = T(d.lr), decay = T(d.weight_decay), scale = T(d.grad_scale), momentum = T(d.momentum);
    if (buffer == nullptr) {
      parallel_for(value.numel(), kChunk, [=](int64_t begin, int64_t end) {
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) p[i] -= lr * scale * (g[i] + decay * p[i]);
      });
      return;
    }
    T* b = buffer->data<T>();
    const T fresh = T(d.fresh), direct = T(d.nesterov ? 1 : 0), buffered = T(d.nesterov ? d.momentum : 1);
    parallel_for(value.numel(), kChunk, [=](int64_t begin, int64_t end) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) {
        const T step = scale * (g[i] + decay * p[i]);
        b[i] = momentum * b[i] + fresh * step;
        p[i] -= lr * (direct * step + buffered * b[i]);
      }
    });
  });
}

/// |p| and |g + weight_decay p|.
struct Norms {
  double value, step;
};
Norms norms(const Tensor& value, const Tensor& grad, double weight_decay) {
  return dispatch_weight(value.dtype(), [&]<class T>(T) {
    const T* p = value.data<T>();
    const T* g = grad.data<T>();
    const auto sums = sum_chunks<2>(value.numel(), [=](int64_t begin, int64_t end) {
      double values = 0, steps = 0;
#pragma omp simd reduction(+ : values, steps)
      for (int64_t i = begin; i < end; ++i) {
        const double v = p[i], step = g[i] + weight_decay * v;
        values += v * v;
        steps += step * step;
      }
      return std::array{values, steps};
    });
    return Norms{std::sqrt(sums[0]), std::sqrt(sums[1])};
  });
}

}  // namespace

Sgd::Sgd(const std::vector<ParamGroup>& groups, const SgdOptions& options)
    : Optimizer(groups, options.momentum == 0 ? std::vector<std::string>{} : kBuffer), options_(options) {
  check<ConfigError>(!options.nesterov || (options.momentum > 0 && options.dampening == 0), "sgd",
                     "nesterov needs momentum > 0 and dampening 0; momentum is {}, dampening {}", options.momentum,
                     options.dampening);
}

void Sgd::update(const UpdateArgs& u) {
  Tensor* buffer = u.slot.moments.empty() ? nullptr : &u.slot.moments[0];
  descend(u.value, u.grad, buffer,
          {.lr = u.lr,
           .weight_decay = u.weight_decay,
           .momentum = options_.momentum,
           .fresh = u.slot.step == 1 ? 1 : 1 - options_.dampening,
           .nesterov = options_.nesterov});
}

Lars::Lars(const std::vector<ParamGroup>& groups, const LarsOptions& options)
    : Optimizer(groups, kBuffer), options_(options) {}

void Lars::update(const UpdateArgs& u) {
  const bool dino = options_.rule == LarsRule::dino;
  const bool adapted = dino ? u.value.rank() != 1 : u.weight_decay != 0;
  double ratio = 1;
  if (adapted) {
    const Norms n = norms(u.value, u.grad, dino ? u.weight_decay : 0);
    const double divisor = dino ? n.step : n.step + u.weight_decay * n.value + options_.eps;
    if (n.value > 0 && n.step > 0) ratio = options_.trust_coeff * n.value / divisor;
  }
  descend(
      u.value, u.grad, &u.slot.moments[0],
      {.lr = u.lr, .weight_decay = adapted ? u.weight_decay : 0, .grad_scale = ratio, .momentum = options_.momentum});
}

}  // namespace vitrail::optim
