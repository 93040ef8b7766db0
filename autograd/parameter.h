// Parameter: a weight that outlives every tape, and its gradient.
#pragma once

#include "vitrail/core/tensor.h"

#include <optional>
#include <string>
#include <utility>

namespace vitrail::ag {

/// How weight decay treats a parameter.
enum class Decay {
  weight,  // decayed: matrices, kernels
  table,   // learned tokens and tables of positions: timm leaves them alone, DINO decays them
  never,   // biases, gains of norms, scalars
};

struct ParameterOptions {
  std::optional<Decay> decay = {};    // by default never for rank 0 and 1, else weight
  std::optional<int64_t> layer = {};  // see Parameter::layer()
  bool requires_grad = true;
};

/// The tensor of a parameter, as Parameter::value() gives it. It is a Tensor everywhere but in differentiable
/// functions: it does not become a Var, which would be a constant without a gradient. They take the parameter itself,
/// x * weight, not x * weight.value(). Tensor(weight.value()) is a constant on purpose.
class ParameterValue : public Tensor {
 public:
  ParameterValue() = default;
  explicit ParameterValue(Tensor tensor) : Tensor(std::move(tensor)) {}
};

/// A weight and its gradient. Owned by a module, never copied or moved.
class Parameter {
 public:
  /// value: f32 or f64; bf16 if requires_grad is off. Copied if it is strided or shared, since updates work in place.
  /// Throws ShapeError for another type.
  Parameter(std::string name, Tensor value, const ParameterOptions& options = {});
  Parameter(const Parameter&) = delete;
  Parameter& operator=(const Parameter&) = delete;

  /// The name inside the model: "blocks.3.attn.qkv.weight".
  const std::string& name() const { return name_; }
  /// The weight itself, and its shape.
  const ParameterValue& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  /// The value in another floating type (or itself), converted once per update and kept.
  const Tensor& value_as(DType dtype) const;
  /// Frees the converted copy; the next value_as() makes it again.
  void drop_converted() { converted_ = Tensor(); }

  /// Frees the elements of a parameter whose module keeps the weight in another form, and freezes it. It keeps its
  /// shape; value() is NaN in every place, without memory. The model can be neither trained nor saved: nn::state()
  /// throws.
  void drop_value();
  bool has_value() const { return has_value_; }

  /// Undefined until a sweep delivers one; later sweeps add to it.
  Tensor& grad() { return grad_; }
  const Tensor& grad() const { return grad_; }
  /// Makes the gradient undefined again: optimizers skip the parameter.
  void drop_grad() { grad_ = Tensor(); }

  /// False for a frozen parameter: tapes record no gradient for it.
  bool requires_grad() const { return requires_grad_; }
  /// Throws ConfigError if a bf16 parameter is to be trained, as small updates would be rounded away, or one without a
  /// value.
  void set_requires_grad(bool on);

  /// The rule by which optim::DecayRule decides on weight decay.
  Decay decay() const { return decay_; }
  /// The layer of its model, for learning rates by layer: 0 for embeddings, i + 1 for block i, none after the blocks.
  std::optional<int64_t> layer() const { return layer_; }

  /// fn(Tensor&) is the only way to change the value. Throws TapeError while a live tape uses it.
  template <class F>
  void update(F&& fn) {
    expect_unpinned();
    drop_converted();
    fn(value_);
  }

 private:
  friend class Tape;
  void expect_unpinned() const;

  std::string name_;
  ParameterValue value_;
  Tensor grad_;
  mutable Tensor converted_;
  Decay decay_;
  std::optional<int64_t> layer_;
  bool requires_grad_;
  bool has_value_ = true;
  int pins_ = 0;  // live tapes with a leaf of this parameter
};

}  // namespace vitrail::ag
