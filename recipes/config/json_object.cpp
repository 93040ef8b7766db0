#include "vitrail/recipes/config/json_object.h"

#include "vitrail/core/io/file.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace vitrail::recipes {
namespace {

Json parse_file(std::string_view text, const std::string& name) {
  try {
    return Json::parse(text);
  } catch (const JsonError& e) {
    fail<IoError>("json", "{}: {}", name, e.reason());
  }
}

}  // namespace

JsonObject::JsonObject(Json object, std::string name, std::string at)
    : object_(std::move(object)), name_(std::move(name)), at_(std::move(at)) {}

JsonObject JsonObject::parse(std::string_view text, const std::string& name) {
  Json root = parse_file(text, name);
  check<IoError>(root.is_object(), "json", "{}: is no JSON object", name);
  return {std::move(root), name, ""};
}

JsonObject JsonObject::read(const std::filesystem::path& path) {
  constexpr int64_t kMostBytes = int64_t{1} << 24;
  return parse(read_file(path, kMostBytes), path.string());
}

const Json* JsonObject::find(std::string_view key) const {
  const Json* const found = object_.find(key);
  return found && found->is_null() ? nullptr : found;
}

const Json* JsonObject::need(std::string_view key, bool optional) const {
  const Json* const value = find(key);
  check<IoError>(value || optional, "json", "{}: needs '{}'", name_, path(key));
  return value;
}

void JsonObject::refuse(std::string_view key, const Json& value, const std::string& expected) const {
  fail<IoError>("json", "{}: '{}' is {}; it must be {}", name_, path(key), value.excerpt(), expected);
}

int64_t JsonObject::integer(std::string_view key, int64_t min, int64_t max, std::optional<int64_t> otherwise) const {
  const Json* const value = need(key, otherwise.has_value());
  if (!value) return *otherwise;
  if (!value->is_integer() || value->as_int64() < min || value->as_int64() > max)
    refuse(key, *value, fmt::format("a whole number from {} to {}", min, max));
  return value->as_int64();
}

double JsonObject::number(std::string_view key, double min, double max, std::optional<double> otherwise) const {
  const Json* const value = need(key, otherwise.has_value());
  if (!value) return *otherwise;
  if (!value->is_number() || value->as_double() < min || value->as_double() > max)
    refuse(key, *value, fmt::format("a number from {:.6g} to {:.6g}", min, max));
  return value->as_double();
}

bool JsonObject::flag(std::string_view key, bool otherwise) const {
  const Json* const value = find(key);
  if (!value) return otherwise;
  if (!value->is_bool()) refuse(key, *value, "true or false");
  return value->as_bool();
}

std::string JsonObject::text(std::string_view key, const std::optional<std::string>& otherwise) const {
  const Json* const value = need(key, otherwise.has_value());
  if (!value) return *otherwise;
  if (!value->is_string()) refuse(key, *value, "a text");
  return value->as_string();
}

std::array<double, 3> JsonObject::triple(std::string_view key, double above,
                                         const std::array<double, 3>& otherwise) const {
  constexpr double kMost = 256;
  const Json* const value = find(key);
  if (!value) return otherwise;
  const auto allowed = [&](const Json& v) { return v.is_number() && v.as_double() > above && v.as_double() <= kMost; };
  const bool three = value->is_array() && value->as_array().size() == 3 &&
                     std::all_of(value->as_array().begin(), value->as_array().end(), allowed);
  if (!three) refuse(key, *value, fmt::format("three numbers above {:.6g}", above));
  const Json::Array& v = value->as_array();
  return {v[0].as_double(), v[1].as_double(), v[2].as_double()};
}

JsonObject JsonObject::object(std::string_view key) const {
  const Json* const value = find(key);
  if (!value) return {Json::object(), name_, path(key)};
  if (!value->is_object()) refuse(key, *value, "an object");
  return {*value, name_, path(key)};
}

}  // namespace vitrail::recipes
