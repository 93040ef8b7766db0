// A module's weights and buffers as named tensors, out and in.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/nn/module.h"

#include <span>
#include <string>
#include <vector>

namespace vitrail::nn {

/// Parameters and buffers under their names, sharing the module's elements: copy before the next update.
TensorMap state(const ModuleBase& module);

/// What load_state found. Names are sorted.
struct LoadReport {
  std::vector<std::string> missing;     // in the module only
  std::vector<std::string> unexpected;  // in the map only
  std::vector<std::string> mismatched;  // other shape, with both shapes
  bool ok() const { return missing.empty() && unexpected.empty() && mismatched.empty(); }
};
/// One line a name; empty if ok.
std::string to_string(const LoadReport& report);

/// values beside mine, by name and shape.
LoadReport compare(const TensorMap& mine, const TensorMap& values);

enum class Strict { yes, no };

/// Copies values in, converting the floating type. Strict::yes throws IoError listing every missing, unexpected and
/// mismatched name, with source (a file's name) in front, before anything is changed. Strict::no loads what fits.
LoadReport load_state(ModuleBase& module, const TensorMap& values, const std::string& source,
                      Strict strict = Strict::yes);

/// load_state, strictly, without copying what the module could hold as it is: dense tensors of its type, which it then
/// shares with the map. Large models open in the time that it takes to map their file.
void share_state(ModuleBase& module, const TensorMap& values, const std::string& source);

/// Copies every parameter and buffer of one module to another of the same structure; each may be part of a model.
void copy_state(ModuleBase& to, const ModuleBase& from);

}  // namespace vitrail::nn
