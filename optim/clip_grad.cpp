#include "vitrail/optim/clip_grad.h"

#include "vitrail/core/ops.h"
#include "vitrail/optim/chunks.h"

#include <algorithm>
#include <cmath>

namespace vitrail::optim {

namespace {

double grad_norm(const ag::Parameter& p) { return p.grad().defined() ? core::norm(p.grad()) : 0; }

void scale_grad(ag::Parameter& p, double factor) {
  Tensor& grad = p.grad();
  if (!grad.defined() || factor >= 1) return;
  grad = grad.contiguous();
  dispatch_weight(grad.dtype(), [&]<class T>(T) {
    T* g = grad.data<T>();
    parallel_for(grad.numel(), kChunk, [=](int64_t begin, int64_t end) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) g[i] *= T(factor);
    });
  });
}

/// The factor that scales the gradients. A factor of 1 or more leaves them unchanged.
double clip_factor_of(double norm, double max_norm) { return max_norm > 0 ? max_norm / (norm + 1e-6) : 1; }

}  // namespace

double clip_grad_norm(std::span<ag::Parameter* const> parameters, double max_norm) {
  double sum = 0;
  for (const ag::Parameter* p : parameters) {
    const double norm = grad_norm(*p);
    sum += norm * norm;
  }
  const double norm = std::sqrt(sum);
  for (ag::Parameter* p : parameters) scale_grad(*p, clip_factor_of(norm, max_norm));
  return norm;
}

std::vector<double> clip_each(std::span<ag::Parameter* const> parameters, double max_norm) {
  std::vector<double> norms;
  for (ag::Parameter* p : parameters) {
    norms.push_back(grad_norm(*p));
    scale_grad(*p, clip_factor_of(norms.back(), max_norm));
  }
  return norms;
}

double clip_adaptive(std::span<ag::Parameter* const> parameters, double clip_factor, double eps) {
  double total = 0;
  for (ag::Parameter* p : parameters) {
    Tensor& grad = p->grad();
    if (!grad.defined()) continue;
    grad = grad.contiguous();
    const Tensor& value = p->value();
    const int64_t units = value.rank() > 1 ? value.size(0) : 1;
    const int64_t unit_size = units == 0 ? 0 : value.numel() / units;
    dispatch_weight(grad.dtype(), [&]<class T>(T) {
      const T* weights = value.data<T>();
      T* grads = grad.data<T>();
      const auto norm = [=](const T* x) {
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < unit_size; ++i) sum += double(x[i]) * double(x[i]);
        return std::sqrt(sum);
      };
      std::vector<double> norms(static_cast<size_t>(units));
      parallel_for(units, std::max<int64_t>(1, kChunk / std::max<int64_t>(unit_size, 1)),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t u = begin; u < end; ++u) {
                       T* g = grads + u * unit_size;
                       const double largest = clip_factor * std::max(norm(weights + u * unit_size), eps);
                       const double unit_norm = norms[size_t(u)] = norm(g);
                       if (unit_norm < largest) continue;
                       const T factor = T(largest / std::max(unit_norm, 1e-6));
                       for (int64_t i = 0; i < unit_size; ++i) g[i] *= factor;
                     }
                   });
      for (double n : norms) total += n * n;
    });
  }
  return std::sqrt(total);
}

}  // namespace vitrail::optim
