// JsonObject: the settings in a JSON file from elsewhere, each value checked when it is read. For sources only.
#pragma once

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/strict_json.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace vitrail::recipes {

/// An object inside a file. Keys that nobody asks for are passed over, null counts as missing.
/// Throws IoError naming file and key for a value of another type or beyond its limits, or that is needed and missing.
class JsonObject {
 public:
  /// The object that the text is. name stands for the file in messages.
  static JsonObject parse(std::string_view text, const std::string& name) {
    constexpr int kDeepest = 32;
    const auto broken = [&](JsonFault, const std::string& what) { fail<IoError>("json", "{}: {}", name, what); };
    nlohmann::json root = parse_strict_json(text, kDeepest, broken);
    check<IoError>(root.is_object(), "json", "{}: is no JSON object", name);
    return {std::move(root), name, ""};
  }
  static JsonObject read(const std::filesystem::path& path) {
    constexpr int64_t kMostBytes = int64_t{1} << 24;
    return parse(read_file(path, kMostBytes), path.string());
  }

  bool has(std::string_view key) const { return find(key) != nullptr; }
  const nlohmann::json* find(std::string_view key) const {
    const auto found = object_.find(std::string(key));
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  int64_t integer(std::string_view key, int64_t min, int64_t max, std::optional<int64_t> otherwise = {}) const {
    const nlohmann::json* value = need(key, otherwise.has_value());
    if (!value) return *otherwise;
    check<IoError>(value->is_number_integer() && in_range(*value, min, max), "json",
                   "{}: '{}' is {}; it must be a whole number from {} to {}", name_, path(key), shown(*value), min,
                   max);
    return value->get<int64_t>();
  }
  double number(std::string_view key, double min, double max, std::optional<double> otherwise = {}) const {
    const nlohmann::json* value = need(key, otherwise.has_value());
    if (!value) return *otherwise;
    check<IoError>(value->is_number() && value->get<double>() >= min && value->get<double>() <= max, "json",
                   "{}: '{}' is {}; it must be a number from {} to {}", name_, path(key), shown(*value), min, max);
    return value->get<double>();
  }
  bool flag(std::string_view key, bool otherwise) const {
    const nlohmann::json* value = find(key);
    if (!value) return otherwise;
    check<IoError>(value->is_boolean(), "json", "{}: '{}' is {}; it must be true or false", name_, path(key),
                   shown(*value));
    return value->get<bool>();
  }
  std::string text(std::string_view key, const std::optional<std::string>& otherwise = {}) const {
    const nlohmann::json* value = need(key, otherwise.has_value());
    if (!value) return *otherwise;
    check<IoError>(value->is_string(), "json", "{}: '{}' is {}; it must be a text", name_, path(key), shown(*value));
    return value->get<std::string>();
  }
  /// Three numbers above a limit, one for each colour.
  std::array<double, 3> triple(std::string_view key, double above, const std::array<double, 3>& otherwise) const {
    constexpr double kMost = 256;
    const nlohmann::json* value = find(key);
    if (!value) return otherwise;
    const bool three = value->is_array() && value->size() == 3 &&
                       std::all_of(value->begin(), value->end(), [&](const nlohmann::json& v) {
                         return v.is_number() && v.get<double>() > above && v.get<double>() <= kMost;
                       });
    check<IoError>(three, "json", "{}: '{}' is {}; it must be three numbers above {}", name_, path(key), shown(*value),
                   above);
    return {(*value)[0].get<double>(), (*value)[1].get<double>(), (*value)[2].get<double>()};
  }
  /// Empty if it is missing.
  JsonObject object(std::string_view key) const {
    const nlohmann::json* value = find(key);
    if (!value) return {nlohmann::json::object(), name_, path(key)};
    check<IoError>(value->is_object(), "json", "{}: '{}' is {}; it must be an object", name_, path(key), shown(*value));
    return {*value, name_, path(key)};
  }

  const nlohmann::json& json() const { return object_; }
  const std::string& file() const { return name_; }
  /// "text_config.hidden_size"
  std::string path(std::string_view key) const { return (at_.empty() ? "" : at_ + ".") + std::string(key); }
  /// A value for a message, cut if it is long.
  static std::string shown(const nlohmann::json& value) {
    constexpr size_t kShown = 60;
    std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    if (text.size() > kShown) text = text.substr(0, kShown) + "...";
    return text;
  }

 private:
  JsonObject(nlohmann::json object, std::string name, std::string at)
      : object_(std::move(object)), name_(std::move(name)), at_(std::move(at)) {}

  const nlohmann::json* need(std::string_view key, bool optional) const {
    const nlohmann::json* value = find(key);
    check<IoError>(value || optional, "json", "{}: needs '{}'", name_, path(key));
    return value;
  }
  static bool in_range(const nlohmann::json& value, int64_t min, int64_t max) {
    if (value.is_number_unsigned())
      return max >= 0 && value.get<uint64_t>() <= uint64_t(max) && value.get<int64_t>() >= min;
    return value.get<int64_t>() >= min && value.get<int64_t>() <= max;
  }

  nlohmann::json object_;
  std::string name_, at_;
};

}  // namespace vitrail::recipes
