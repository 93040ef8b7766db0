// JsonObject: the settings in a JSON file from elsewhere, each value checked when it is read.
#pragma once

#include "vitrail/core/io/json.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace vitrail::recipes {

/// An object in a JSON file. Keys that are never asked for are ignored; null counts as missing.
/// Throws IoError with the file and the key if a value is missing, of another type, or out of range.
class JsonObject {
 public:
  /// The object that the text holds. name stands for the file in messages.
  static JsonObject parse(std::string_view text, const std::string& name);
  static JsonObject read(const std::filesystem::path& path);

  bool has(std::string_view key) const { return find(key) != nullptr; }
  /// Null if the key is missing or its value is null.
  const Json* find(std::string_view key) const;

  int64_t integer(std::string_view key, int64_t min, int64_t max, std::optional<int64_t> otherwise = {}) const;
  double number(std::string_view key, double min, double max, std::optional<double> otherwise = {}) const;
  bool flag(std::string_view key, bool otherwise) const;
  std::string text(std::string_view key, const std::optional<std::string>& otherwise = {}) const;
  /// Three numbers above a limit, one for each colour.
  std::array<double, 3> triple(std::string_view key, double above, const std::array<double, 3>& otherwise) const;
  /// An empty object if the key is missing.
  JsonObject object(std::string_view key) const;

  const Json& json() const { return object_; }
  const std::string& file() const { return name_; }
  /// "text_config.hidden_size"
  std::string path(std::string_view key) const { return (at_.empty() ? "" : at_ + ".") + std::string(key); }

 private:
  JsonObject(Json object, std::string name, std::string at);
  const Json* need(std::string_view key, bool optional) const;
  [[noreturn]] void refuse(std::string_view key, const Json& value, const std::string& expected) const;

  Json object_;
  std::string name_, at_;
};

}  // namespace vitrail::recipes
