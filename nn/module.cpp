#include "vitrail/nn/module.h"

#include <algorithm>
#include <utility>

namespace vitrail::nn {

Scope::Scope(uint64_t seed, DType dtype, std::string label) : label_(std::move(label)), seed_(seed), dtype_(dtype) {}

Scope::Scope(ModuleBase* parent, const Scope& from, std::string_view name) : Scope(from.unclaimed()) {
  parent_ = parent;
  name_ = from.name_.empty() ? std::string(name) : from.name_ + "." + std::string(name);
}

Scope Scope::unclaimed() const {
  Scope scope = *this;
  scope.claimed_ = std::make_shared<bool>(false);
  return scope;
}

Scope Scope::without_values() const {
  Scope scope = unclaimed();
  scope.has_values_ = false;
  return scope;
}

Scope Scope::frozen(DType dtype) const {
  Scope scope = unclaimed();
  scope.dtype_ = dtype;
  scope.trained_ = false;
  return scope;
}

Scope Scope::trained(DType dtype) const {
  Scope scope = unclaimed();
  scope.dtype_ = dtype;
  scope.has_values_ = scope.trained_ = true;
  return scope;
}

Scope Scope::at_layer(int64_t layer) const {
  Scope scope = unclaimed();
  scope.layer_ = layer;
  return scope;
}

std::string Scope::path() const {
  if (label_.empty() || name_.empty()) return label_ + name_;
  return label_ + "." + name_;
}

void Scope::claim() const {
  check<ConfigError>(!std::exchange(*claimed_, true), "module",
                     "the scope of '{}' has already built something; give each part its own scope: sub(\"name\")",
                     path());
  if (parent_)
    check<ConfigError>(!parent_->has_part(name_), "module", "'{}' has two parts called '{}'", parent_->path(),
                       name_.substr(parent_->name().empty() ? 0 : parent_->name().size() + 1));
}

ModuleBase& Scope::owner() const {
  check<ConfigError>(parent_ != nullptr, "module",
                     "a parameter or buffer needs a name in its module: give it the scope sub(\"name\")");
  return *parent_;
}

Tensor Param::initial_value(const Scope& scope, const Shape& shape, const Init& init) {
  const MemoryOwner owner("parameters");
  if (!scope.has_values_) return Tensor::empty(shape, scope.dtype());
  Rng rng(scope.seed(), scope.name());
  return init(shape, scope.dtype(), rng);
}

Param::Param(const Scope& scope, const Shape& shape, const Init& init, std::optional<Decay> decay)
    : Parameter(scope.name(), initial_value(scope, shape, init),
                {.decay = decay, .layer = scope.layer_, .requires_grad = scope.trained_}),
      module_(scope.owner()) {
  scope.claim();
  module_.parameters_.push_back(this);
}

Param::~Param() { std::erase(module_.parameters_, this); }

Buffer::Buffer(const Scope& scope, Tensor value) : name_(scope.name()), value_(std::move(value)) {
  scope.claim();
  scope.owner().buffers_.push_back(this);
}

ModuleBase::ModuleBase(const Scope& scope) : scope_(scope), path_(scope.path()) {
  scope.claim();
  if (scope.parent_) scope.parent_->children_.push_back(this);
}

bool ModuleBase::has_part(const std::string& name) const {
  const auto is_called = [&](const auto* part) { return part->name() == name; };
  return std::any_of(children_.begin(), children_.end(), is_called) ||
         std::any_of(parameters_.begin(), parameters_.end(), is_called) ||
         std::any_of(buffers_.begin(), buffers_.end(), is_called);
}

std::vector<Parameter*> ModuleBase::parameters() const {
  std::vector<Parameter*> all;
  walk([&](const ModuleBase& m) { all.insert(all.end(), m.parameters_.begin(), m.parameters_.end()); });
  return all;
}

std::vector<Buffer*> ModuleBase::buffers() const {
  std::vector<Buffer*> all;
  walk([&](const ModuleBase& m) { all.insert(all.end(), m.buffers_.begin(), m.buffers_.end()); });
  return all;
}

Parameter& ModuleBase::parameter(std::string_view name) const {
  for (Parameter* p : parameters())
    if (p->name() == name) return *p;
  fail<ConfigError>("module", "the model has no parameter '{}'", name);
}

int64_t ModuleBase::parameter_count() const {
  int64_t n = 0;
  for (const Parameter* p : parameters()) n += p->value().numel();
  return n;
}

void ModuleBase::train(bool on) {
  training_ = on;
  for (ModuleBase* child : children_) child->train(on);
}

void ModuleBase::freeze(bool on) {
  for (Parameter* p : parameters()) p->set_requires_grad(!on);
}

void ModuleBase::zero_grad() {
  for (Parameter* p : parameters()) p->drop_grad();
}

}  // namespace vitrail::nn
