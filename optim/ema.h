// Exponential moving averages of weights: teachers, and the averaged model that is evaluated.
#pragma once

#include "vitrail/autograd/parameter.h"
#include "vitrail/core/tensor_map.h"

#include <span>

namespace vitrail::optim {

/// average = momentum average + (1 - momentum) model, in place.
/// Throws: ShapeError if shapes or types (f32, f64) differ.
void ema_update(Tensor& average, const Tensor& model, double momentum);

/// The same for each pair of parameters. Throws ConfigError if their number or names differ.
void ema_update(std::span<ag::Parameter* const> average, std::span<ag::Parameter* const> model, double momentum);

/// The momentum of an average with a warm-up: 0 at updates 0 and 1, then 1 - (1 + (update - 1) / gamma)^-power, but no
/// more than `most`. Source: ModelEmaV3 of timm.
double ema_warmup(int64_t update, double most, double gamma = 1, double power = 2.0 / 3);

/// The moving average of a model's state. f32 and f64 tensors are averaged, other types are copied.
class ModelEma final {
 public:
  /// Starts with a copy of the model's state.
  explicit ModelEma(const TensorMap& model);

  /// Throws ConfigError if names differ.
  void update(const TensorMap& model, double momentum);
  /// Shares its elements, so the next update changes them.
  const TensorMap& state() const { return average_; }
  /// Copies a state in. Throws if a name, shape or type differs; nothing has changed then.
  void load_state(const TensorMap& state);

 private:
  TensorMap average_;
};

}  // namespace vitrail::optim
