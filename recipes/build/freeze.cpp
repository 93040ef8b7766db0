#include "vitrail/recipes/build/freeze.h"

#include "vitrail/core/error.h"
#include "vitrail/nn/norm.h"
#include "vitrail/recipes/config/suggest.h"

#include <algorithm>
#include <string_view>

namespace vitrail::recipes {
namespace {

/// Whether pattern, in which * stands for any characters, is the name or its beginning up to a dot.
bool matches(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty() || name[0] == '.';
  if (pattern[0] != '*') return !name.empty() && name[0] == pattern[0] && matches(pattern.substr(1), name.substr(1));
  for (size_t skipped = 0; skipped <= name.size(); ++skipped)
    if (matches(pattern.substr(1), name.substr(skipped))) return true;
  return false;
}

std::string_view name_inside(const nn::ModuleBase& model, const nn::Parameter& p) {
  const size_t own = model.name().empty() ? 0 : model.name().size() + 1;
  return std::string_view(p.name()).substr(own);
}

/// The names of the model's parts: "patch_embed", "blocks.0", ..., for suggestions.
std::vector<std::string> parts_of(const nn::ModuleBase& model) {
  std::vector<std::string> parts;
  for (const nn::Parameter* p : model.parameters()) {
    const std::string_view name = name_inside(model, *p);
    for (size_t dot = name.find('.'); dot != name.npos; dot = name.find('.', dot + 1))
      parts.emplace_back(name.substr(0, dot));
    parts.emplace_back(name);
  }
  std::sort(parts.begin(), parts.end());
  parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
  return parts;
}

void set_trained(nn::ModuleBase& model, const std::string& pattern, bool trained, const char* key) {
  bool any = false;
  for (nn::Parameter* p : model.parameters()) {
    if (!matches(pattern, name_inside(model, *p))) continue;
    p->set_requires_grad(trained);
    any = true;
  }
  check<ConfigError>(any, key, "'{}' names no parameter of the model{}", pattern,
                     did_you_mean(pattern, parts_of(model)));
}

}  // namespace

void freeze(nn::ModuleBase& model, const std::vector<std::string>& patterns) {
  for (const std::string& text : patterns) {
    const bool trained = text.starts_with('-');
    set_trained(model, trained ? text.substr(1) : text, trained, "model.freeze");
  }
}

void unfreeze(nn::ModuleBase& model, const std::vector<std::string>& patterns, const char* key) {
  for (const std::string& pattern : patterns) set_trained(model, pattern, true, key);
}

bool any_matches(const std::vector<std::string>& patterns, std::string_view name) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& p) { return matches(p, name); });
}

std::vector<ag::Parameter*> trained_parameters(const nn::ModuleBase& model) {
  std::vector<ag::Parameter*> trained = model.parameters();
  std::erase_if(trained, [](const ag::Parameter* p) { return !p->requires_grad(); });
  return trained;
}

void hold_frozen_norms(nn::ModuleBase& model) {
  for (nn::BatchNorm2d* norm : model.modules<nn::BatchNorm2d>())
    if (!norm->weight.requires_grad() && !norm->bias.requires_grad()) norm->eval();
}

}  // namespace vitrail::recipes
