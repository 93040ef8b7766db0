#include "vitrail/data/sources/missing_images.h"

#include "vitrail/core/error.h"

#include <fmt/format.h>

#include <utility>

namespace vitrail::data {

void MissingImages::add(std::string_view name, int64_t line) {
  if (names_.empty())
    first_ = fmt::format("{}:{}: there is no image '{}' in {}", *table_, line, name, images_->instead_of(name));
  if (names_.empty() || names_.back() != name) names_.emplace_back(name);
}

std::vector<std::string> MissingImages::take(std::string_view op) {
  const std::string others = names_.size() > 1 ? fmt::format("; {} more are missing", names_.size() - 1) : "";
  check<DataError>(names_.empty() || allowed_, op, "{}{}", first_, others);
  return std::move(names_);
}

}  // namespace vitrail::data
