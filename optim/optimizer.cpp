#include "vitrail/optim/optimizer.h"

#include "vitrail/core/error.h"

#include <algorithm>
#include <set>

namespace vitrail::optim {

namespace {

void expect_like(const char* op, const std::string& name, const Tensor& t, const Shape& shape, DType dtype) {
  check<ShapeError>(t.shape() == shape && t.dtype() == dtype, op, "'{}' is {} {}, {} {} is needed", name, t.dtype(),
                    t.shape(), dtype, shape);
}

}  // namespace

void Optimizer::check_betas(double beta1, double beta2) {
  for (const double beta : {beta1, beta2})
    check<ConfigError>(0 <= beta && beta < 1, "optimizer", "a beta is {}; it must be at least 0 and less than 1", beta);
}

Optimizer::Optimizer(const std::vector<ParamGroup>& groups, std::vector<std::string> moment_names)
    : moment_names_(std::move(moment_names)) {
  std::set<std::string> names;
  for (const ParamGroup& group : groups) {
    for (ag::Parameter* p : group.parameters) {
      check<ConfigError>(names.insert(p->name()).second, "optimizer", "parameter '{}' is given twice", p->name());
      slots_.push_back({p, group.lr_scale, group.weight_decay_scale, 0, {}});
    }
  }
  check<ConfigError>(!slots_.empty(), "optimizer",
                     "there are no parameters to update; are all frozen, or a layer built without sub(\"name\")?");
}

void Optimizer::step(double lr, double weight_decay) {
  const MemoryOwner owner("optimizer");
  begin_step(slots_);
  for (Slot& slot : slots_) {
    ag::Parameter& p = *slot.parameter;
    if (!p.grad().defined()) continue;
    expect_like("step", p.name() + "/grad", p.grad(), p.shape(), p.value().dtype());
    const Tensor grad = p.grad().contiguous();
    p.update([&](Tensor& value) {
      if (slot.step == 0) {
        std::vector<Tensor> moments;  // all or none, if memory runs out
        for (size_t i = 0; i < moment_names_.size(); ++i) moments.push_back(zeros(value.shape(), value.dtype()));
        slot.moments = std::move(moments);
      }
      ++slot.step;
      update({value, grad, slot, lr * slot.lr_scale, weight_decay * slot.weight_decay_scale});
    });
  }
}

void Optimizer::zero_grad() {
  for (Slot& slot : slots_) slot.parameter->drop_grad();
}

void Optimizer::set_lr_scale(const ag::Parameter& parameter, double scale) {
  const auto slot =
      std::find_if(slots_.begin(), slots_.end(), [&](const Slot& s) { return s.parameter == &parameter; });
  check<ConfigError>(slot != slots_.end(), "optimizer", "parameter '{}' is in no group", parameter.name());
  slot->lr_scale = scale;
}

TensorMap Optimizer::state() const {
  TensorMap state;
  for (const Slot& slot : slots_) {
    const std::string& name = slot.parameter->name();
    state[name + "/step"] = scalar(double(slot.step), DType::i64);
    for (size_t i = 0; i < slot.moments.size(); ++i) state[name + "/" + moment_names_[i]] = slot.moments[i];
  }
  return state;
}

int64_t Optimizer::missing_bytes() const {
  int64_t bytes = 0;
  for (const Slot& slot : slots_)
    if (slot.moments.empty()) bytes += int64_t(moment_names_.size()) * slot.parameter->value().nbytes();
  return bytes;
}

void Optimizer::load_state(const TensorMap& state) {
  const MemoryOwner owner("optimizer");
  std::set<std::string> known;
  const auto take = [&](const std::string& name, const Shape& shape, DType dtype) -> const Tensor& {
    const auto found = state.find(name);
    check<ConfigError>(found != state.end(), "load_state", "the optimizer needs '{}', which the state does not have",
                       name);
    expect_like("load_state", name, found->second, shape, dtype);
    known.insert(name);
    return found->second;
  };
  std::vector<Slot> loaded = slots_;
  for (Slot& slot : loaded) {
    const ag::Parameter& p = *slot.parameter;
    slot.step = int64_t(take(p.name() + "/step", {}, DType::i64).item());
    slot.moments.clear();
    if (slot.step == 0) continue;
    for (const std::string& moment : moment_names_)
      slot.moments.push_back(take(p.name() + "/" + moment, p.shape(), p.value().dtype()).clone());
  }
  for (const auto& [name, tensor] : state)
    check<ConfigError>(known.contains(name), "load_state", "the optimizer has no '{}'", name);
  slots_ = std::move(loaded);
}

}  // namespace vitrail::optim
