#include "vitrail/autograd/parameter.h"

#include "vitrail/core/error.h"

#include <cmath>

namespace vitrail::ag {

Parameter::Parameter(std::string name, Tensor value, const ParameterOptions& options)
    : name_(std::move(name)),
      decay_(options.decay.value_or(value.rank() > 1 ? Decay::weight : Decay::never)),
      layer_(options.layer),
      requires_grad_(options.requires_grad) {
  const DType dtype = value.dtype();
  check<ShapeError>(dtype == DType::f32 || dtype == DType::f64 || dtype == DType::bf16, "parameter",
                    "'{}' is {}; weights are f32 or f64, or bf16 if they are frozen", name_, dtype);
  check<ShapeError>(dtype != DType::bf16 || !requires_grad_, "parameter",
                    "'{}' is bf16 and trained; trained weights are f32 or f64 (bf16 weights need Scope::frozen())",
                    name_);
  value_ = ParameterValue(value.unique() && value.is_contiguous() ? std::move(value) : value.clone());
}

void Parameter::set_requires_grad(bool on) {
  check<ConfigError>(!on || value_.dtype() != DType::bf16, "parameter",
                     "'{}' is bf16 and cannot be trained; build the model in f32 to train it", name_);
  check<ConfigError>(!on || has_value_, "parameter", "'{}' is kept in 8 bits for inference and cannot be trained",
                     name_);
  requires_grad_ = on;
}

void Parameter::drop_value() {
  update([](Tensor& value) { value = scalar(std::nan(""), value.dtype()).expand(value.shape()); });
  drop_grad();
  requires_grad_ = false;
  has_value_ = false;
}

const Tensor& Parameter::value_as(DType dtype) const {
  if (dtype == value_.dtype()) return value_;
  if (!converted_.defined() || converted_.dtype() != dtype) {
    MemoryOwner owner("converted weights");
    converted_ = value_.to(dtype);
  }
  return converted_;
}

void Parameter::expect_unpinned() const {
  check<TapeError>(pins_ == 0, "update", "'{}' is still used by a live tape; call backward() before step()", name_);
}

}  // namespace vitrail::ag
