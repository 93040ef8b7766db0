// Json: a value that is read from or written as JSON.
#pragma once

#include "vitrail/core/error.h"

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace vitrail {

/// True for valid UTF-8: nothing cut off, overlong, above U+10FFFF, or a surrogate.
bool is_utf8(std::string_view text);

/// Text that is not JSON, or JSON that is refused.
class JsonError final : public IoError {
 public:
  enum class Kind { syntax, too_deep, repeated_name };
  JsonError(Kind kind, std::string reason);
  /// Why the text was refused.
  Kind kind() const { return kind_; }
  const std::string& reason() const { return reason_; }  ///< what() without "[json]"

 private:
  Kind kind_;
  std::string reason_;
};

/// Null, a bool, a whole number, another number, a string, an array or an object. An object keeps the order in which
/// its members were added. Values of C++ types convert without a word: Json::object({{"epochs", 90}, {"lr", 1e-3}}).
class Json {
 public:
  struct Member;
  using Array = std::vector<Json>;
  using Object = std::vector<Member>;

  Json();  ///< null
  Json(std::nullptr_t);
  Json(double number);
  Json(std::string text);
  Json(std::string_view text);
  Json(const char* text);
  template <std::same_as<bool> T>
  Json(T value) : Json(boolean(value)) {}
  /// A whole number of any integer type, kept exactly.
  template <std::integral T>
  requires(!std::same_as<T, bool>) Json(T number)
      : Json(whole(std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>(number))) {}
  template <class T>
  Json(const std::vector<T>& values) : Json(array_of(values)) {}
  template <class T, size_t n>
  Json(const std::array<T, n>& values) : Json(array_of(values)) {}

  /// An array of the values, or an object with the members in that order.
  static Json array(std::initializer_list<Json> values = {});
  static Json object(std::initializer_list<Member> members = {});
  static Json object(Object members);

  Json(const Json& other);
  Json(Json&& other) noexcept;
  Json& operator=(const Json& other);
  Json& operator=(Json&& other) noexcept;
  ~Json();

  /// Parses text strictly: no name twice in an object, at most `deepest` levels below the outermost, UTF-8 only.
  /// Throws JsonError.
  static Json parse(std::string_view text, int deepest = 32);

  /// The value as JSON on one line, or indented by so many spaces a level. The shortest digits that read back as the
  /// same number; a number that is not finite becomes null. Bytes that are not UTF-8 become U+FFFD.
  std::string text(int indent = -1) const;
  /// The value for an error message: one line of ASCII, cut after 60 characters.
  std::string excerpt() const;

  /// The kind of the value. is_number() holds for whole and other numbers.
  bool is_null() const;
  bool is_bool() const;
  bool is_number() const;
  /// A number written without a point or exponent that fits int64_t.
  bool is_integer() const;
  /// A number written without a sign, point or exponent that fits uint64_t.
  bool is_unsigned() const;
  /// The kind of the value.
  bool is_string() const;
  bool is_array() const;
  bool is_object() const;

  /// The value as that type. Throws IoError if it is of another one.
  bool as_bool() const;
  int64_t as_int64() const;
  uint64_t as_uint64() const;
  double as_double() const;  ///< of any number
  const std::string& as_string() const;
  const Array& as_array() const;
  const Object& as_object() const;

  /// The member of an object, or null if it has none of that name or this is no object. Takes time linear in the number
  /// of members.
  const Json* find(std::string_view name) const;
  /// The member of an object, added as null if it has none of that name. Null becomes an object first.
  Json& operator[](std::string_view name);
  /// Adds the members of `object` to this object. A member replaces one of the same name.
  void update(const Json& object);
  /// Appends to an array and returns the new element. Null becomes an array first.
  Json& push_back(Json value);

 private:
  class Builder;
  using Value = std::variant<std::nullptr_t, bool, int64_t, uint64_t, double, std::string, Array, Object>;

  static Json boolean(bool value);
  static Json whole(int64_t number);
  static Json whole(uint64_t number);
  template <class Range>
  static Json array_of(const Range& values) {
    Json result = array();
    for (const auto& value : values) result.push_back(value);
    return result;
  }
  template <class T>
  const T& as(const char* kind) const;

  Value value_;  // uint64_t only above INT64_MAX
};

struct Json::Member {
  Member(std::string member_name, Json member_value) : name(std::move(member_name)), value(std::move(member_value)) {}

  std::string name;
  Json value;
};

}  // namespace vitrail
