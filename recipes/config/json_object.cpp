#include "vitrail/recipes/config/json_object.h"

#include "vitrail/core/io/file.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
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

struct JsonObject::Record {
  std::vector<std::string> accepted;
  std::map<std::string, Use, std::less<>> uses;  // by path

  bool accepts(const std::string& path) const {
    return std::any_of(accepted.begin(), accepted.end(),
                       [&](const std::string& name) { return path == name || path.ends_with("." + name); });
  }
};

JsonObject::JsonObject(Json object, std::string name, std::string at, std::shared_ptr<Record> record)
    : object_(std::move(object)), name_(std::move(name)), at_(std::move(at)), record_(std::move(record)) {}

JsonObject JsonObject::parse(std::string_view text, const std::string& name, std::vector<std::string> accepted) {
  Json root = parse_file(text, name);
  check<IoError>(root.is_object(), "json", "{}: is no JSON object", name);
  return {std::move(root), name, "", std::make_shared<Record>(Record{std::move(accepted), {}})};
}

JsonObject JsonObject::read(const std::filesystem::path& path, std::vector<std::string> accepted) {
  constexpr int64_t kMostBytes = int64_t{1} << 24;
  return parse(read_file(path, kMostBytes), path.string(), std::move(accepted));
}

const Json* JsonObject::find(std::string_view key) const {
  const std::string at = path(key);
  const Json* const found = object_.find(key);
  const bool there = found && !found->is_null(), accepted = there && record_->accepts(at);
  record_->uses.emplace(at, accepted ? Use::accepted : Use::value);
  return there && !accepted ? found : nullptr;
}

JsonObject::Use JsonObject::use_of(std::string_view key) const {
  const std::string at = path(key);
  if (record_->accepts(at)) return record_->uses[at] = Use::accepted;
  const auto found = record_->uses.find(at);
  return found == record_->uses.end() ? Use::none : found->second;
}

std::vector<std::string> JsonObject::notes() const {
  std::vector<std::string> notes;
  for (const auto& [at, use] : record_->uses)
    if (use == Use::accepted) notes.push_back(fmt::format("{}: '{}' is passed over, as was asked", name_, at));
  return notes;
}

std::vector<std::string> JsonObject::known_keys() const {
  std::vector<std::string> keys;
  const std::string beginning = at_.empty() ? "" : at_ + ".";
  for (const auto& [at, use] : record_->uses)
    if (at.starts_with(beginning) && at.find('.', beginning.size()) == at.npos)
      keys.push_back(at.substr(beginning.size()));
  return keys;
}

JsonObject JsonObject::updated(const JsonObject& newer) const {
  JsonObject result = *this;
  result.object_.update(newer.object_);
  record_->uses[newer.at_] = Use::value;
  return result;
}

void JsonObject::pass_over(std::initializer_list<std::string_view> keys) const {
  for (const std::string_view key : keys) find(key);
}

void JsonObject::only(std::string_view key, const Json& value) const {
  const Json* const found = find(key);
  if (!found) return;
  const bool same =
      found->is_number() && value.is_number() ? found->as_double() == value.as_double() : found->text() == value.text();
  check<IoError>(same, "json", "{}: '{}' is {}; known is {}", name_, path(key), found->excerpt(), value.excerpt());
}

const Json* JsonObject::need(std::string_view key, bool optional) const {
  const Json* const value = find(key);
  check<IoError>(value || optional, "json", "{}: needs '{}'", name_, path(key));
  return value;
}

void JsonObject::refuse(std::string_view key, const Json& value, const std::string& expected) const {
  fail<IoError>("json", "{}: '{}' is {}; it must be {}", name_, path(key), value.excerpt(), expected);
}

void JsonObject::refuse_name(std::string_view key, const std::string& name, const std::string& known) const {
  fail<IoError>("json", "{}: '{}' is \"{}\"; known are {}", name_, path(key), name, known);
}

int64_t JsonObject::integer(std::string_view key, int64_t min, int64_t max, std::optional<int64_t> otherwise) const {
  const Json* const value = need(key, otherwise.has_value());
  if (!value) return *otherwise;
  if (!value->is_integer() || value->as_int64() < min || value->as_int64() > max)
    refuse(key, *value, fmt::format("a whole number from {} to {}", min, max));
  return value->as_int64();
}

int64_t JsonObject::side(std::string_view key, int64_t max, std::optional<int64_t> otherwise) const {
  const Json* const value = need(key, otherwise.has_value());
  if (!value || !value->is_array()) return integer(key, 1, max, otherwise);
  const Json::Array& sides = value->as_array();
  const auto allowed = [&](const Json& v) { return v.is_integer() && v.as_int64() >= 1 && v.as_int64() <= max; };
  if (sides.size() != 2 || !std::all_of(sides.begin(), sides.end(), allowed))
    refuse(key, *value, fmt::format("a whole number from 1 to {}, or two equal ones", max));
  check<IoError>(sides[0].as_int64() == sides[1].as_int64(), "json", "{}: '{}' is {}; images must be square here",
                 name_, path(key), value->excerpt());
  return sides[0].as_int64();
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
  if (!value) return {Json::object(), name_, path(key), record_};
  if (!value->is_object()) refuse(key, *value, "an object");
  record_->uses[path(key)] = Use::object;
  return {*value, name_, path(key), record_};
}

}  // namespace vitrail::recipes
