// JsonObject: the settings in a JSON file from elsewhere, each value checked when it is read.
#pragma once

#include "vitrail/core/io/json.h"
#include "vitrail/core/text.h"
#include "vitrail/recipes/config/fields.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

/// An object in a JSON file. A null counts as missing, and so does a key that the user accepts. The object and those
/// inside it remember which keys were asked for: expect_all_read() (foreign_keys.h) refuses the others.
/// Throws IoError with the file and the key if a value is missing, of another type, or out of range.
class JsonObject {
 public:
  /// The object that the text holds. name stands for the file in messages. accepted: keys to pass over, each alone
  /// ("dropout") or with its path ("vision_config.dropout").
  static JsonObject parse(std::string_view text, const std::string& name, std::vector<std::string> accepted = {});
  static JsonObject read(const std::filesystem::path& path, std::vector<std::string> accepted = {});

  bool has(std::string_view key) const { return find(key) != nullptr; }
  /// Null if the key is missing, or its value null.
  const Json* find(std::string_view key) const;

  int64_t integer(std::string_view key, int64_t min, int64_t max, std::optional<int64_t> otherwise = {}) const;
  /// The side of a square: a whole number, or a list of two equal ones.
  int64_t side(std::string_view key, int64_t max, std::optional<int64_t> otherwise = {}) const;
  double number(std::string_view key, double min, double max, std::optional<double> otherwise = {}) const;
  bool flag(std::string_view key, bool otherwise) const;
  std::string text(std::string_view key, const std::optional<std::string>& otherwise = {}) const;
  /// The value that a table has for the text, or for `otherwise` if the key is missing.
  template <class E, size_t N>
  E choice(std::string_view key, const Named<E> (&table)[N], std::string_view otherwise) const {
    const std::string name = text(key, std::string(otherwise));
    for (const Named<E>& known : table)
      if (known.name == name) return known.value;
    refuse_name(key, name, joined(table, [](const Named<E>& known) { return known.name; }));
  }
  /// Three numbers above a limit, one for each colour.
  std::array<double, 3> triple(std::string_view key, double above, const std::array<double, 3>& otherwise) const;
  /// An empty object if the key is missing.
  JsonObject object(std::string_view key) const;
  /// This object with the members of newer, which replace those of the same name. Check the result by
  /// expect_all_read() itself: that of the file does not look into newer.
  JsonObject updated(const JsonObject& newer) const;

  /// For a setting of which one value is built: throws IoError if the key has another.
  void only(std::string_view key, const Json& value) const;
  /// Counts keys as read whose values make no difference here.
  void pass_over(std::initializer_list<std::string_view> keys) const;

  /// How a key was used: not at all, passed over because the user accepts it, read as a value, or taken as an object.
  enum class Use { none, accepted, value, object };
  Use use_of(std::string_view key) const;
  /// A sentence about each key of the file that was passed over because the user accepts it.
  std::vector<std::string> notes() const;

  const Json& json() const { return object_; }
  const std::string& file() const { return name_; }
  /// "text_config.hidden_size"
  std::string path(std::string_view key) const { return (at_.empty() ? "" : at_ + ".") + std::string(key); }
  /// The keys of this object that were asked for.
  std::vector<std::string> known_keys() const;

 private:
  struct Record;  // what was read, shared by all objects of a file

  JsonObject(Json object, std::string name, std::string at, std::shared_ptr<Record> record);
  const Json* need(std::string_view key, bool optional) const;
  [[noreturn]] void refuse(std::string_view key, const Json& value, const std::string& expected) const;
  [[noreturn]] void refuse_name(std::string_view key, const std::string& name, const std::string& known) const;

  Json object_;
  std::string name_, at_;
  std::shared_ptr<Record> record_;
};

}  // namespace vitrail::recipes
