// Module: a part of a model, with named parameters, buffers and children. A child is built with its parent's scope and
// its own name, so none is left unregistered. The names are timm's.
#pragma once

#include "vitrail/autograd/ops.h"
#include "vitrail/autograd/parameter.h"
#include "vitrail/core/error.h"
#include "vitrail/nn/init.h"
#include "vitrail/nn/summary.h"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::nn {

using ag::Decay;
using ag::Parameter;
using ag::Var;

class ModuleBase;

/// The place where one module, parameter or buffer is built: its parent, its name, and settings of the whole model.
/// A scope builds one thing. A second one throws ConfigError: it would have the same name.
class Scope {
 public:
  /// A whole model. label opens the paths in messages ("student"); parameter names and initial values ignore it.
  /// dtype: f32, or f64 for a model that computes in f64.
  explicit Scope(uint64_t seed = 0, DType dtype = DType::f32, std::string label = "");
  /// The same place with uninitialised weights, for a model that will be loaded or only counted.
  Scope without_values() const;
  /// The same place with weights that are not trained, in dtype: bf16 halves the memory of a model that only computes.
  Scope frozen(DType dtype) const;
  /// The same place with initial values that are trained, in dtype: for a part added to a loaded or frozen model.
  Scope trained(DType dtype) const;
  /// The same place as a layer of the model, see Parameter::layer(). Children inherit it.
  Scope at_layer(int64_t layer) const;

  const std::string& name() const { return name_; }  // "blocks.3.attn"; empty for the model
  /// The type of new weights and the seed of their initial values; without values, weights are not initialised.
  DType dtype() const { return dtype_; }
  uint64_t seed() const { return seed_; }
  bool has_values() const { return has_values_; }
  std::string path() const;  // label and name

 private:
  friend class ModuleBase;
  friend class Param;
  friend class Buffer;
  Scope(ModuleBase* parent, const Scope& from, std::string_view name);
  Scope unclaimed() const;
  /// Throws ConfigError if this scope or a copy of it has built something, or if its module has a part of its name.
  void claim() const;
  /// The module that a parameter or a buffer of this scope belongs to. Throws ConfigError for the scope of a model.
  ModuleBase& owner() const;

  ModuleBase* parent_ = nullptr;
  std::string name_;
  std::string label_;
  uint64_t seed_;
  DType dtype_;
  bool has_values_ = true;
  bool trained_ = true;
  std::optional<int64_t> layer_;
  std::shared_ptr<bool> claimed_ = std::make_shared<bool>(false);  // shared by copies
};

/// A weight of a module: a Parameter registered under its name.
class Param final : public Parameter {
 public:
  /// decay: by default, never for rank 0 and 1, weight for others. Throws ConfigError as Scope.
  Param(const Scope& scope, const Shape& shape, const Init& init, std::optional<Decay> decay = {});
  /// Leaves its module, which must outlive it.
  ~Param();

 private:
  static Tensor initial_value(const Scope& scope, const Shape& shape, const Init& init);

  ModuleBase& module_;
};

/// A tensor that is saved with the weights but not trained, such as a running average.
class Buffer final {
 public:
  Buffer(const Scope& scope, Tensor value);
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  /// The name inside the model, and the tensor. Assign to value() to update it.
  const std::string& name() const { return name_; }
  Tensor& value() { return value_; }
  const Tensor& value() const { return value_; }

 private:
  std::string name_;
  Tensor value_;
};

/// Base of all modules. Models never move: parents and tapes hold pointers to their parts.
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
  /// Its own parameters first, then its children's, in the order of construction (as PyTorch's named_parameters).
  std::vector<Parameter*> parameters() const;
  std::vector<Buffer*> buffers() const;
  /// Throws ConfigError if no parameter has this name.
  Parameter& parameter(std::string_view name) const;
  /// The number of elements of all parameters.
  int64_t parameter_count() const;
  /// The modules of type M among this one and its descendants, in the order of construction.
  template <class M>
  std::vector<M*> modules() {
    std::vector<M*> found;
    walk([&](ModuleBase& module) {
      if (auto* const m = dynamic_cast<M*>(&module)) found.push_back(m);
    });
    return found;
  }

  /// Sets training mode (dropout, drop path, batch statistics) for this and all children. Models start in it.
  void train(bool on = true);
  void eval() { train(false); }
  /// False in evaluation mode.
  bool is_training() const { return training_; }
  /// Frozen parameters get no gradients and no updates. Throws ConfigError if a bf16 parameter is to be trained.
  void freeze(bool on = true);
  /// Drops the gradient of every parameter.
  void zero_grad();

 protected:
  /// The scope of a child or parameter called name.
  Scope sub(std::string_view name) { return Scope(this, scope_, name); }
  /// The type of the scope that built the module.
  DType dtype() const { return scope_.dtype(); }
  /// f() as one call of this module in messages, reports and summaries.
  template <class F>
  auto call(F&& f) {
    const PathScope scope(path_);
    SummaryEntry entry(*this);
    auto y = f();
    if constexpr (std::is_same_v<decltype(y), Var>) entry.finish(y.shape());
    return y;
  }

 private:
  friend class Scope;
  friend class Param;
  friend class Buffer;
  template <class Visit>
  void walk(Visit&& visit) const {
    visit(*this);
    for (const ModuleBase* child : children_) child->walk(visit);
  }
  template <class Visit>
  void walk(Visit&& visit) {
    visit(*this);
    for (ModuleBase* child : children_) child->walk(visit);
  }

  bool has_part(const std::string& name) const;

  Scope scope_;
  std::string path_;
  bool training_ = true;
  std::vector<Parameter*> parameters_;
  std::vector<Buffer*> buffers_;
  std::vector<ModuleBase*> children_;
};

/// Base of a module Self with a method forward. Calling the module runs it.
/// Base: ModuleBase, or an interface derived from it.
template <class Self, class Base = ModuleBase>
class Module : public Base {
 public:
  using Base::Base;

  /// Runs forward with the same arguments. Errors, tapes and summaries name the module.
  template <class... Args>
  auto operator()(Args&&... args) {
    return this->call([&] { return static_cast<Self*>(this)->forward(std::forward<Args>(args)...); });
  }
  /// A call through a const module does not compile.
  template <class... Args>
  void operator()(Args&&...) const {
    static_assert(sizeof...(Args) == size_t(-1),
                  "a module is called through a non-const object: forward may update it");
  }
};

/// Interface of a layer that another can stand in for. Shape: x [..., C] -> [..., C].
class Layer : public ModuleBase {
 public:
  using ModuleBase::ModuleBase;
  virtual Var forward(const Var& x) = 0;
  Var operator()(const Var& x) {
    return call([&] { return forward(x); });
  }
};

/// Children called 0, 1, 2, ... that never move.
template <class T>
class ModuleList final : public ModuleBase {
 public:
  /// first_layer: child i is layer first_layer + i of the model, see Parameter::layer().
  explicit ModuleList(const Scope& scope, std::optional<int64_t> first_layer = {})
      : ModuleBase(scope), first_layer_(first_layer) {}
  /// Builds the next one from its scope and args.
  template <class... Args>
  T& add(Args&&... args) {
    const Scope scope = sub(std::to_string(items_.size()));
    return items_.emplace_back(first_layer_ ? scope.at_layer(*first_layer_ + int64_t(items_.size())) : scope,
                               std::forward<Args>(args)...);
  }
  /// The modules in order. Indices are not checked.
  size_t size() const { return items_.size(); }
  T& operator[](size_t i) { return items_[i]; }
  auto begin() { return items_.begin(); }
  auto end() { return items_.end(); }

 private:
  std::optional<int64_t> first_layer_;
  std::deque<T> items_;
};

}  // namespace vitrail::nn
