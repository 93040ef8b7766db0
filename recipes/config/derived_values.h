// DerivedValues: values that one key of a recipe gives to others, unless the user chose them.
#pragma once

#include "vitrail/recipes/config/config.h"

#include <string>
#include <string_view>
#include <variant>

namespace vitrail::recipes {

/// Sets keys that follow from the key `cause`, such as a lower rate where a run begins with weights. What the user
/// chose stays: keys on the command line, and, where cause is not on the command line itself, keys of the recipe.
class DerivedValues {
 public:
  /// config outlives this and has cause. origin: of the values, for Config::yaml.
  DerivedValues(Config& config, std::string_view cause, std::string origin);

  /// Whether there is such a key and it may be set.
  bool may_set(std::string_view key) const;
  /// Sets the key to a value in YAML if it may be set and has another one.
  void set(std::string_view key, const std::string& value);
  /// The value of a key that has this type.
  template <class T>
  T value(std::string_view key) const {
    return *std::get<T*>(config_.find(key)->slot);
  }
  /// What was set: "optim.lr 0.001, train.epochs 3".
  const std::string& text() const { return text_; }

 private:
  Config& config_;
  std::string origin_, text_;
  bool on_command_line_;
};

}  // namespace vitrail::recipes
