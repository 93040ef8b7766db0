#include "vitrail/optim/adamw.h"

#include "vitrail/optim/chunks.h"

#include <algorithm>
#include <cmath>

namespace vitrail::optim {

namespace {

/// The scalars of one update, in the type of the weights.
template <class T>
struct Scalars {
  T beta1, rest1, beta2, rest2;  // rest = 1 - beta
  T eps, step_size, root_scale;  // root_scale = 1 / sqrt(1 - beta2^t)
  T keep, l2;                    // decoupled decay as a factor, or decay in the gradient

  Scalars(const AdamWOptions& o, int64_t step, double lr, double weight_decay)
      : beta1(T(o.beta1)),
        rest1(T(1 - o.beta1)),
        beta2(T(o.beta2)),
        rest2(T(1 - o.beta2)),
        eps(T(o.eps)),
        step_size(T(lr / (1 - std::pow(o.beta1, double(step))))),
        root_scale(T(1 / std::sqrt(1 - std::pow(o.beta2, double(step))))),
        keep(T(o.decoupled ? 1 - lr * weight_decay : 1)),
        l2(T(o.decoupled ? 0 : weight_decay)) {}
};

/// largest: null unless amsgrad.
template <bool kAmsgrad, class T>
void update_range(const Scalars<T>& s, int64_t begin, int64_t end, T* p, const T* g, T* m, T* v, T* largest) {
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const T grad = g[i] + s.l2 * p[i];
    m[i] = s.beta1 * m[i] + s.rest1 * grad;
    v[i] = s.beta2 * v[i] + s.rest2 * grad * grad;
    T second = v[i];
    if constexpr (kAmsgrad) second = largest[i] = std::max(largest[i], v[i]);
    p[i] = s.keep * p[i] - s.step_size * m[i] / (std::sqrt(second) * s.root_scale + s.eps);
  }
}

}  // namespace

AdamW::AdamW(const std::vector<ParamGroup>& groups, const AdamWOptions& options)
    : Optimizer(groups, options.amsgrad ? std::vector<std::string>{"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}
                                        : std::vector<std::string>{"exp_avg", "exp_avg_sq"}),
      options_(options) {
  check_betas(options.beta1, options.beta2);
}

void AdamW::update(const UpdateArgs& u) {
  dispatch_weight(u.value.dtype(), [&]<class T>(T) {
    const Scalars<T> s(options_, u.slot.step, u.lr, u.weight_decay);
    auto& moments = u.slot.moments;
    T* p = u.value.data<T>();
    const T* g = u.grad.data<T>();
    T* m = moments[0].data<T>();
    T* v = moments[1].data<T>();
    T* largest = options_.amsgrad ? moments[2].data<T>() : nullptr;
    parallel_for(u.value.numel(), kChunk, [&](int64_t begin, int64_t end) {
      if (largest != nullptr)
        update_range<true>(s, begin, end, p, g, m, v, largest);
      else
        update_range<false>(s, begin, end, p, g, m, v, largest);
    });
  });
}

}  // namespace vitrail::optim
