// Parameter: a weight that outlives every tape, and its gradient.
#pragma once

#include "vitrail/core/tensor.h"

#include <string>

namespace vitrail::ag {

/// A weight and its gradient. Owned by a module, never copied or moved.
class Parameter {
 public:
  /// value: the master copy, f32 or f64; copied if it is strided or shared, since updates work in place.
  Parameter(std::string name, Tensor value);
  Parameter(const Parameter&) = delete;
  Parameter& operator=(const Parameter&) = delete;

  /// The name inside the model: "blocks.3.attn.qkv.weight".
  const std::string& name() const { return name_; }
  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  /// The value as bf16 (or itself), converted once per update and kept.
  const Tensor& value_as(DType dtype) const;

  /// Undefined until a sweep delivers one; later sweeps add to it.
  Tensor& grad() { return grad_; }
  const Tensor& grad() const { return grad_; }
  /// Undefined again: optimizers skip the parameter altogether.
  void drop_grad() { grad_ = Tensor(); }

  bool requires_grad() const { return requires_grad_; }
  void set_requires_grad(bool on) { requires_grad_ = on; }

  /// fn(Tensor&) is the only way to change the value. Throws TapeError while a live tape uses it.
  template <class F>
  void update(F&& fn) {
    expect_unpinned();
    converted_ = Tensor();
    fn(value_);
  }

 private:
  friend class Tape;
  void expect_unpinned() const;

  std::string name_;
  Tensor value_;
  Tensor grad_;
  mutable Tensor converted_;
  bool requires_grad_ = true;
  int pins_ = 0;  // live tapes with a leaf of this parameter
};

}  // namespace vitrail::ag
