#include "vitrail/autograd/parameter.h"

#include "vitrail/core/error.h"

namespace vitrail::ag {

Parameter::Parameter(std::string name, Tensor value) : name_(std::move(name)) {
  value_ = value.unique() && value.is_contiguous() ? std::move(value) : value.clone();
  check<ShapeError>(value_.dtype() == DType::f32 || value_.dtype() == DType::f64, "parameter",
                    "'{}' is {}; weights are f32 or f64", name_, value_.dtype());
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
