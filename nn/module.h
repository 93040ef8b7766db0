// Module: a part of a model, with named parameters, buffers and children. A child is built with its parent's scope and
// its own name, so none is left unregistered; names are those of timm's checkpoints.
#pragma once

#include "vitrail/autograd/ops.h"
#include "vitrail/autograd/parameter.h"
#include "vitrail/core/error.h"
#include "vitrail/nn/init.h"
#include "vitrail/nn/summary.h"

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::nn {

using ag::Parameter;
using ag::Var;

class ModuleBase;

/// Where something is being built: its parent, its name, and what all of a model shares.
class Scope {
 public:
  /// A whole model. label opens the paths in messages ("student") and is no part of parameter names or initial values.
  /// dtype: f32, or f64 for a model that computes in f64.
  explicit Scope(uint64_t seed = 0, DType dtype = DType::f32, std::string label = "");
  /// The same, but weights are left without values, for a model that will be loaded or only counted.
  Scope without_values() const;
  bool with_values() const { return with_values_; }

  const std::string& name() const { return name_; }  // "blocks.3.attn"; empty for the model
  DType dtype() const { return dtype_; }
  uint64_t seed() const { return seed_; }
  std::string path() const;  // label and name

 private:
  friend class ModuleBase;
  Scope(ModuleBase* parent, const Scope& from, std::string_view name);
  friend class Param;
  friend class Buffer;

  ModuleBase* parent_ = nullptr;
  std::string name_;
  std::string label_;
  uint64_t seed_;
  DType dtype_;
  bool with_values_ = true;
};

/// A weight of a module: a Parameter registered under its name.
class Param final : public Parameter {
 public:
  Param(const Scope& scope, const Shape& shape, const Init& init);

 private:
  static Tensor initial_value(const Scope& scope, const Shape& shape, const Init& init);
};

/// A tensor that is saved with the weights but not trained: running averages.
class Buffer final {
 public:
  Buffer(const Scope& scope, Tensor value);
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  const std::string& name() const { return name_; }
  Tensor& value() { return value_; }
  const Tensor& value() const { return value_; }

 private:
  std::string name_;
  Tensor value_;
};

/// What every module has. Models never move: parents and tapes hold pointers to their parts.
class ModuleBase {
 public:
  explicit ModuleBase(const Scope& scope);
  virtual ~ModuleBase() = default;
  ModuleBase(const ModuleBase&) = delete;
  ModuleBase& operator=(const ModuleBase&) = delete;

  /// Name inside the model, "blocks.3.attn"; empty for the model itself.
  const std::string& name() const { return scope_.name(); }
  /// Name with the model's label, for messages.
  const std::string& path() const { return path_; }
  /// Its own first, then those of its children, in the order of construction (PyTorch's named_parameters order).
  std::vector<Parameter*> parameters() const;
  std::vector<Buffer*> buffers() const;
  /// Throws ConfigError if there is none.
  Parameter& parameter(std::string_view name) const;
  int64_t parameter_count() const;

  /// Training mode (dropout, drop path, batch statistics) for this and all children; models start in training mode.
  void train(bool on = true);
  void eval() { train(false); }
  bool is_training() const { return training_; }
  /// Parameters get no gradients (and no updates); freeze(false) undoes it.
  void freeze(bool on = true);
  void zero_grad();

 protected:
  /// The scope of a child or parameter called name.
  Scope sub(std::string_view name) { return Scope(this, scope_, name); }
  DType dtype() const { return scope_.dtype(); }

 private:
  friend class Param;
  friend class Buffer;
  template <class Visit>
  void walk(Visit&& visit) const {
    visit(*this);
    for (const ModuleBase* child : children_) child->walk(visit);
  }

  Scope scope_;
  std::string path_;
  bool training_ = true;
  std::vector<Parameter*> parameters_;
  std::vector<Buffer*> buffers_;
  std::vector<ModuleBase*> children_;
};

/// Base of a module Self with a method forward. Calling it notes the path for messages, reports and summaries.
/// Base: ModuleBase, or an interface derived from it.
template <class Self, class Base = ModuleBase>
class Module : public Base {
 public:
  using Base::Base;

  template <class... Args>
  auto operator()(Args&&... args) {
    const PathScope scope(this->path());
    SummaryEntry entry(*this);
    auto y = static_cast<Self*>(this)->forward(std::forward<Args>(args)...);
    if constexpr (std::is_same_v<decltype(y), Var>) entry.finish(y.shape());
    return y;
  }
};

/// Children called 0, 1, 2, ... that never move.
template <class T>
class ModuleList final : public ModuleBase {
 public:
  using ModuleBase::ModuleBase;
  /// Builds the next one from its scope and args.
  template <class... Args>
  T& add(Args&&... args) {
    return items_.emplace_back(sub(std::to_string(items_.size())), std::forward<Args>(args)...);
  }
  size_t size() const { return items_.size(); }
  T& operator[](size_t i) { return items_[i]; }
  auto begin() { return items_.begin(); }
  auto end() { return items_.end(); }

 private:
  std::deque<T> items_;
};

}  // namespace vitrail::nn
