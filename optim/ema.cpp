#include "vitrail/optim/ema.h"

#include "vitrail/core/error.h"
#include "vitrail/optim/chunks.h"

#include <algorithm>
#include <cmath>

namespace vitrail::optim {

namespace {

bool is_averaged(const Tensor& t) { return t.dtype() == DType::f32 || t.dtype() == DType::f64; }

TensorMap copy_of(const TensorMap& map) {
  const MemoryOwner owner("ema");
  TensorMap copy;
  for (const auto& [name, t] : map) copy[name] = t.clone();
  return copy;
}

void expect_alike(const char* op, const TensorMap& average, const TensorMap& other) {
  for (const auto& [name, t] : other) check<ConfigError>(average.contains(name), op, "the average has no '{}'", name);
  for (const auto& [name, t] : average) {
    const auto found = other.find(name);
    check<ConfigError>(found != other.end(), op, "'{}' is in the average only", name);
    const Tensor& o = found->second;
    check<ShapeError>(o.shape() == t.shape() && o.dtype() == t.dtype(), op, "'{}' is {} {}, in the average {} {}", name,
                      o.dtype(), o.shape(), t.dtype(), t.shape());
  }
}

}  // namespace

void ema_update(Tensor& average, const Tensor& model, double momentum) {
  check<ShapeError>(average.shape() == model.shape() && average.dtype() == model.dtype() && is_averaged(average),
                    "ema_update", "needs two f32 or f64 tensors of one shape: the average is {} {}, the model {} {}",
                    average.dtype(), average.shape(), model.dtype(), model.shape());
  const Tensor dense = model.contiguous();
  dispatch_weight(average.dtype(), [&]<class T>(T) {
    T* a = average.span<T>().data();
    const T* x = dense.data<T>();
    const T keep = T(momentum), rest = T(1 - momentum);
    parallel_for(average.numel(), kChunk, [=](int64_t begin, int64_t end) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) a[i] = keep * a[i] + rest * x[i];
    });
  });
}

void ema_update(std::span<ag::Parameter* const> average, std::span<ag::Parameter* const> model, double momentum) {
  check<ConfigError>(average.size() == model.size(), "ema_update", "the average has {} parameters, the model {}",
                     average.size(), model.size());
  for (size_t i = 0; i < average.size(); ++i)
    check<ConfigError>(average[i]->name() == model[i]->name(), "ema_update",
                       "parameter {} of the average is '{}', of the model '{}'", i, average[i]->name(),
                       model[i]->name());
  for (size_t i = 0; i < average.size(); ++i)
    average[i]->update([&](Tensor& value) { ema_update(value, model[i]->value(), momentum); });
}

double ema_warmup(int64_t update, double most, double gamma, double power) {
  if (update <= 1) return 0;
  return std::min(most, 1 - std::pow(1 + double(update - 1) / gamma, -power));
}

ModelEma::ModelEma(const TensorMap& model) : average_(copy_of(model)) {}

void ModelEma::update(const TensorMap& model, double momentum) {
  expect_alike("ema_update", average_, model);
  for (auto& [name, average] : average_) {
    const Tensor& value = model.find(name)->second;
    if (is_averaged(average))
      ema_update(average, value, momentum);
    else
      average.copy_(value);
  }
}

void ModelEma::load_state(const TensorMap& state) {
  expect_alike("load_state", average_, state);
  average_ = copy_of(state);
}

}  // namespace vitrail::optim
