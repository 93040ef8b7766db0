#include "vitrail/nn/state_io.h"

#include <algorithm>

namespace vitrail::nn {
namespace {

void list(std::string& text, const char* what, const std::vector<std::string>& names) {
  constexpr size_t kShown = 12;
  if (names.empty()) return;
  text += "\n  " + std::string(what) + ": ";
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > kShown) text += ", and " + std::to_string(names.size() - kShown) + " more";
}

}  // namespace

TensorMap state(const ModuleBase& module) {
  TensorMap map;
  for (const Parameter* p : module.parameters()) {
    check<ConfigError>(
        p->has_value(), "state",
        "'{}' is kept in 8 bits for inference; its model cannot be saved or loaded. Open it without int8", p->name());
    map[p->name()] = p->value();
  }
  for (const Buffer* b : module.buffers()) map[b->name()] = b->value();
  return map;
}

std::string to_string(const LoadReport& report) {
  std::string text;
  list(text, "missing", report.missing);
  list(text, "unexpected", report.unexpected);
  list(text, "of another shape", report.mismatched);
  return text;
}

LoadReport compare(const TensorMap& mine, const TensorMap& values) {
  LoadReport report;
  for (const auto& [name, tensor] : mine) {
    const auto found = values.find(name);
    if (found == values.end()) {
      report.missing.push_back(name);
    } else if (!(found->second.shape() == tensor.shape())) {
      report.mismatched.push_back("'" + name + "' is " + to_string(found->second.shape()) + " in the file, " +
                                  to_string(tensor.shape()) + " in the model");
    }
  }
  for (const auto& [name, tensor] : values)
    if (!mine.contains(name)) report.unexpected.push_back(name);
  return report;
}

LoadReport load_state(ModuleBase& module, const TensorMap& values, const std::string& source, Strict strict) {
  LoadReport report = compare(state(module), values);
  if (strict == Strict::yes) check<IoError>(report.ok(), "load", "{}: does not fit the model{}", source, report);

  const auto fitting = [&](const std::string& name, const Shape& shape) {
    const auto found = values.find(name);
    return found != values.end() && found->second.shape() == shape ? &found->second : nullptr;
  };
  for (Parameter* p : module.parameters())
    if (const Tensor* value = fitting(p->name(), p->shape())) p->update([&](Tensor& t) { t.copy_(*value); });
  for (Buffer* b : module.buffers())
    if (const Tensor* value = fitting(b->name(), b->value().shape())) b->value().copy_(*value);
  return report;
}

void share_state(ModuleBase& module, const TensorMap& values, const std::string& source) {
  const LoadReport report = compare(state(module), values);
  check<IoError>(report.ok(), "load", "{}: does not fit the model{}", source, report);
  const auto share = [](Tensor& mine, const Tensor& value) {
    if (value.is_contiguous() && value.dtype() == mine.dtype())
      mine = value;
    else
      mine.copy_(value);
  };
  for (Parameter* p : module.parameters()) p->update([&](Tensor& mine) { share(mine, values.at(p->name())); });
  for (Buffer* b : module.buffers()) share(b->value(), values.at(b->name()));
}

void copy_state(ModuleBase& to, const ModuleBase& from) {
  const auto of = [](const ModuleBase& module, const std::string& name) {
    return module.name().empty() ? name : name.substr(module.name().size() + 1);
  };
  TensorMap values;  // under the names that they have in `to`
  const std::string prefix = to.name().empty() ? "" : to.name() + ".";
  for (const auto& [name, tensor] : state(from)) values.emplace(prefix + of(from, name), tensor);
  load_state(to, values, "another model");
}

}  // namespace vitrail::nn
