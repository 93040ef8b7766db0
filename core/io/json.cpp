#include "vitrail/core/io/json.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace vitrail {
namespace {

nlohmann::ordered_json printable(const Json& json) {
  if (json.is_null()) return nullptr;
  if (json.is_bool()) return json.as_bool();
  if (json.is_integer()) return json.as_int64();
  if (json.is_unsigned()) return json.as_uint64();
  if (json.is_number()) return json.as_double();
  if (json.is_string()) return json.as_string();
  if (json.is_array()) {
    auto array = nlohmann::ordered_json::array();
    for (const Json& value : json.as_array()) array.push_back(printable(value));
    return array;
  }
  nlohmann::ordered_json::object_t object;
  object.reserve(json.as_object().size());
  for (const Json::Member& member : json.as_object())
    static_cast<std::vector<nlohmann::ordered_json::object_t::value_type>&>(object).emplace_back(
        member.name, printable(member.value));  // the map's own emplace searches all names
  return object;
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = [&](size_t at) { return at < text.size() ? uint32_t(static_cast<unsigned char>(text[at])) : 0u; };
    const uint32_t first = byte(i);
    const size_t length = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
    if (length == 0) return false;
    uint32_t code = length == 1 ? first : first & (0x7fu >> length);
    for (size_t k = 1; k < length; ++k) {
      if (byte(i + k) >> 6 != 2) return false;
      code = code << 6 | (byte(i + k) & 0x3f);
    }
    constexpr std::array<uint32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kSmallest[length] || code > 0x10ffff || code >> 11 == 0x1b)
      return false;  // overlong, too big, surrogate
    i += length;
  }
  return true;
}

JsonError::JsonError(Kind kind, std::string reason)
    : IoError("[json] " + reason), kind_(kind), reason_(std::move(reason)) {}

/// Makes a Json of the events of nlohmann's parser. A function returns false to end the parsing.
class Json::Builder {
 public:
  Builder(Json& root, int deepest) : root_(root), deepest_(deepest) {}
  [[noreturn]] void fail() const { throw JsonError(kind_, reason_); }

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(int64_t value) { return value == 0 ? add(-0.0) : add(value); }  // only "-0" arrives here as 0
  bool number_unsigned(uint64_t value) { return add(value); }
  bool number_float(double value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(nlohmann::json::binary_t&) { return false; }  // text has no binary values
  bool key(std::string& name) {
    name_ = std::move(name);
    return shallow();
  }
  bool start_array(size_t) { return open(array()); }
  bool start_object(size_t) { return open(object()); }
  bool end_array() {
    open_.pop_back();
    return true;
  }
  bool end_object() {
    const bool distinct = distinct_names(open_.back()->as_object());
    open_.pop_back();
    return distinct;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception& e) {
    const std::string_view text = e.what();  // "[json.exception.parse_error.101] parse error at line 1, column 8: ..."
    const size_t number = text.find("] ");
    return refuse(JsonError::Kind::syntax,
                  "is not JSON: " + std::string(number == text.npos ? text : text.substr(number + 2)));
  }

 private:
  bool refuse(JsonError::Kind kind, std::string reason) {
    kind_ = kind;
    reason_ = std::move(reason);
    return false;
  }
  bool shallow() { return int(open_.size()) <= deepest_ || refuse(JsonError::Kind::too_deep, "is nested too deeply"); }
  bool distinct_names(const Object& members) {
    std::vector<std::string_view> names;
    for (const Member& member : members) names.push_back(member.name);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    return twice == names.end() ||
           refuse(JsonError::Kind::repeated_name, "\"" + std::string(*twice) + "\" comes twice");
  }
  Json& place(Json value) {
    if (open_.empty()) return root_ = std::move(value);
    if (open_.back()->is_array()) return open_.back()->push_back(std::move(value));
    return std::get<Object>(open_.back()->value_).emplace_back(std::move(name_), std::move(value)).value;
  }
  bool add(Json value) {
    if (!shallow()) return false;
    place(std::move(value));
    return true;
  }
  bool open(Json container) {
    if (!shallow()) return false;
    open_.push_back(&place(std::move(container)));
    return true;
  }

  Json& root_;
  const int deepest_;
  std::vector<Json*> open_;  // each is its predecessor's last element, so none moves while it is open
  std::string name_;
  JsonError::Kind kind_ = JsonError::Kind::syntax;
  std::string reason_;
};

Json::Json() : value_(nullptr) {}
Json::Json(std::nullptr_t) : value_(nullptr) {}
Json::Json(double number) : value_(number) {}
Json::Json(std::string text) : value_(std::move(text)) {}
Json::Json(std::string_view text) : value_(std::string(text)) {}
Json::Json(const char* text) : value_(std::string(text)) {}
Json::Json(const Json& other) = default;
Json::Json(Json&& other) noexcept = default;
Json& Json::operator=(const Json& other) = default;
Json& Json::operator=(Json&& other) noexcept = default;
Json::~Json() = default;

Json Json::boolean(bool value) {
  Json json;
  json.value_ = value;
  return json;
}
Json Json::whole(int64_t number) {
  Json json;
  json.value_ = number;
  return json;
}
Json Json::whole(uint64_t number) {
  if (number <= uint64_t{INT64_MAX}) return whole(int64_t(number));
  Json json;
  json.value_ = number;
  return json;
}
Json Json::array(std::initializer_list<Json> values) {
  Json json;
  json.value_ = Array(values);
  return json;
}
Json Json::object(std::initializer_list<Member> members) { return object(Object(members)); }
Json Json::object(Object members) {
  Json json;
  json.value_ = std::move(members);
  return json;
}

Json Json::parse(std::string_view text, int deepest) {
  Json root;
  Builder builder(root, deepest);
  if (!nlohmann::json::sax_parse(text, &builder)) builder.fail();
  return root;
}

std::string Json::text(int indent) const {
  return printable(*this).dump(indent, ' ', /*ensure_ascii=*/false, nlohmann::json::error_handler_t::replace);
}

std::string Json::excerpt() const {
  constexpr size_t kShown = 60;
  std::string text = printable(*this).dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
  if (text.size() > kShown) text = text.substr(0, kShown) + "...";
  return text;
}

bool Json::is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
bool Json::is_bool() const { return std::holds_alternative<bool>(value_); }
bool Json::is_number() const { return is_integer() || is_unsigned() || std::holds_alternative<double>(value_); }
bool Json::is_integer() const { return std::holds_alternative<int64_t>(value_); }
bool Json::is_unsigned() const {
  const auto* const integer = std::get_if<int64_t>(&value_);
  return integer ? *integer >= 0 : std::holds_alternative<uint64_t>(value_);
}
bool Json::is_string() const { return std::holds_alternative<std::string>(value_); }
bool Json::is_array() const { return std::holds_alternative<Array>(value_); }
bool Json::is_object() const { return std::holds_alternative<Object>(value_); }

template <class T>
const T& Json::as(const char* kind) const {
  const T* const value = std::get_if<T>(&value_);
  if (!value) fail<IoError>("json", "{} is not {}", excerpt(), kind);
  return *value;
}

bool Json::as_bool() const { return as<bool>("true or false"); }
int64_t Json::as_int64() const { return as<int64_t>("a whole number of 64 bits"); }
uint64_t Json::as_uint64() const {
  if (!is_unsigned()) fail<IoError>("json", "{} is not a whole number from 0", excerpt());
  return is_integer() ? uint64_t(as_int64()) : std::get<uint64_t>(value_);
}
double Json::as_double() const {
  if (is_integer()) return double(as_int64());
  if (is_unsigned()) return double(as_uint64());
  return as<double>("a number");
}
const std::string& Json::as_string() const { return as<std::string>("a string"); }
const Json::Array& Json::as_array() const { return as<Array>("an array"); }
const Json::Object& Json::as_object() const { return as<Object>("an object"); }

const Json* Json::find(std::string_view name) const {
  const Object* const members = std::get_if<Object>(&value_);
  if (!members) return nullptr;
  const auto found = std::find_if(members->begin(), members->end(), [&](const Member& m) { return m.name == name; });
  return found == members->end() ? nullptr : &found->value;
}

Json& Json::operator[](std::string_view name) {
  if (is_null()) value_ = Object();
  as_object();  // throws if it is no object
  if (const Json* const found = find(name)) return const_cast<Json&>(*found);
  return std::get<Object>(value_).emplace_back(std::string(name), Json()).value;
}

void Json::update(const Json& object) {
  for (const Member& member : object.as_object()) (*this)[member.name] = member.value;
}

Json& Json::push_back(Json value) {
  if (is_null()) value_ = Array();
  as_array();  // throws if it is no array
  return std::get<Array>(value_).emplace_back(std::move(value));
}

}  // namespace vitrail
