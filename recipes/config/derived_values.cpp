#include "vitrail/recipes/config/derived_values.h"

#include <fmt/format.h>

#include <utility>

namespace vitrail::recipes {

DerivedValues::DerivedValues(Config& config, std::string_view cause, std::string origin)
    : config_(config), origin_(std::move(origin)), on_command_line_(config.find(cause)->is_of_command_line()) {}

bool DerivedValues::may_set(std::string_view key) const {
  const Field* const field = config_.find(key);
  return field && (field->origin == "default" || (on_command_line_ && !field->is_of_command_line()));
}

void DerivedValues::set(std::string_view key, const std::string& value) {
  if (!may_set(key) || to_yaml(*config_.find(key)) == value) return;
  config_.set(fmt::format("{}={}", key, value), origin_);
  text_ += fmt::format("{}{} {}", text_.empty() ? "" : ", ", key, value);
}

}  // namespace vitrail::recipes
