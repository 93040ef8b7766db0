// A few parameters with gradients, for tests of this folder.
#pragma once

#include "vitrail/autograd/parameter.h"
#include "vitrail/core/rng.h"

#include <memory>
#include <string>
#include <vector>

namespace vitrail::test {

class Parameters {
 public:
  ag::Parameter& add(const std::string& name, Tensor value) {
    owned_.push_back(std::make_unique<ag::Parameter>(name, std::move(value)));
    all_.push_back(owned_.back().get());
    return *owned_.back();
  }
  /// Normal values of the given shape.
  ag::Parameter& add(const std::string& name, const Shape& shape, DType dtype = DType::f32) {
    return add(name, Rng(1, name).normal(shape, 0, 1, dtype));
  }
  /// A normal gradient for each, other numbers for each step.
  void set_grads(int64_t step) {
    for (ag::Parameter* p : all_)
      p->grad() = Rng(2, p->name(), uint64_t(step)).normal(p->shape(), 0, 1, p->value().dtype());
  }
  const std::vector<ag::Parameter*>& all() const { return all_; }

 private:
  std::vector<std::unique_ptr<ag::Parameter>> owned_;
  std::vector<ag::Parameter*> all_;
};

}  // namespace vitrail::test
