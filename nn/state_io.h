// The weights and buffers of a module as named tensors: read, load, compare.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/nn/module.h"

#include <span>
#include <string>
#include <vector>

namespace vitrail::nn {

/// Parameters and buffers by name. The tensors share the module's elements: copy them before the next update.
/// Throws ConfigError for a model with int8 weights, see quantize_int8().
TensorMap state(const ModuleBase& module);

/// The differences between a module and a map of tensors. Names are sorted.
struct LoadReport {
  std::vector<std::string> missing;     // in the module only
  std::vector<std::string> unexpected;  // in the map only
  std::vector<std::string> mismatched;  // other shape, with both shapes
  /// True if nothing differs.
  bool ok() const { return missing.empty() && unexpected.empty() && mismatched.empty(); }
};
/// One line for each kind of difference; empty if ok.
std::string to_string(const LoadReport& report);

/// Compares values with mine by name and shape.
LoadReport compare(const TensorMap& mine, const TensorMap& values);

enum class Strict { yes, no };

/// Copies values into the module, converting the floating type. Strict::yes throws IoError listing every missing,
/// unexpected and mismatched name after source (a file's name), before anything changes. Strict::no loads those that
/// fit.
LoadReport load_state(ModuleBase& module, const TensorMap& values, const std::string& source,
                      Strict strict = Strict::yes);

/// load_state, strict, that shares dense tensors of the module's type with the map instead of copying them. Large
/// models open in the time that it takes to map their file.
void share_state(ModuleBase& module, const TensorMap& values, const std::string& source);

/// Copies every parameter and buffer to a module of the same structure. Either may be a part of a model.
void copy_state(ModuleBase& to, const ModuleBase& from);

}  // namespace vitrail::nn
