#include "vitrail/recipes/config/fields.h"

#include "vitrail/core/error.h"

#include <fmt/format.h>

#include <algorithm>

namespace vitrail::recipes {
namespace {

template <class T>
constexpr std::string_view kName = "";
template <>
constexpr std::string_view kName<bool> = "true or false";
template <>
constexpr std::string_view kName<int64_t> = "an integer";
template <>
constexpr std::string_view kName<double> = "a number";
template <>
constexpr std::string_view kName<std::string> = "a string";

template <class T>
std::string type_name(const T*, const Limits&) {
  return std::string(kName<T>);
}
template <class T>
std::string type_name(const std::optional<T>*, const Limits&) {
  return std::string(kName<T>) + " or null";
}
std::string type_name(const EnumSlot& slot, const Limits&) { return slot.optional ? "a string or null" : "a string"; }
template <class T>
std::string type_name(const std::vector<T>*, const Limits& limits) {
  const std::string count = limits.length ? std::to_string(*limits.length) + " " : "";
  constexpr std::string_view kind = std::is_same_v<T, double>    ? "numbers"
                                    : std::is_same_v<T, int64_t> ? "integers"
                                                                 : "strings";
  return "a list of " + count + std::string(kind);
}

/// True if every YAML reader takes the text for a string, so that it needs no quotes.
bool is_plain(std::string_view text) {
  if (text.empty() || text == "true" || text == "false" || text == "null" || text == "Null" || text == "NULL")
    return false;
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/'; };
  const auto inner = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-'; };
  return letter(text[0]) && std::all_of(text.begin(), text.end(), inner);
}

std::string yaml_of(bool value) { return value ? "true" : "false"; }
std::string yaml_of(int64_t value) { return std::to_string(value); }
std::string yaml_of(double value) { return fmt::format("{}", value); }
std::string yaml_of(const std::string& value) {
  if (is_plain(value)) return value;
  std::string text = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\')
      text += std::string("\\") + c;
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      text += fmt::format("\\x{:02x}", int{c});
    else
      text += c;
  }
  return text + '"';
}
template <class T>
std::string yaml_of(const std::optional<T>& value) {
  return value ? yaml_of(*value) : "null";
}
template <class T>
std::string yaml_of(const std::vector<T>& values) {
  std::string text;
  for (const T& value : values) text += (text.empty() ? "" : ", ") + yaml_of(value);
  return "[" + text + "]";
}

template <class T>
std::string yaml_of(const T* slot, const Limits&) {
  return yaml_of(*slot);
}
std::string yaml_of(const EnumSlot& slot, const Limits& limits) {
  const std::optional<size_t> at = slot.get();
  return at ? yaml_of(limits.choices.at(*at)) : "null";
}

}  // namespace

void Fields::add(std::string_view key, Slot slot, std::string_view help, Limits limits) {
  Field field{prefix_ + std::string(key), std::move(slot), std::string(help), std::move(limits), {}};
  check<Error>(!find(field.key), "config", "key '{}' is described twice", field.key);
  field.default_yaml = to_yaml(field);
  // Behind the last key of its section: a section may be described in several places.
  for (std::string section = prefix_; !section.empty(); section.resize(section.rfind('.', section.size() - 2) + 1)) {
    const auto last =
        std::find_if(list_.rbegin(), list_.rend(), [&](const Field& f) { return f.key.starts_with(section); });
    if (last != list_.rend()) {
      list_.insert(last.base(), std::move(field));
      return;
    }
  }
  list_.push_back(std::move(field));
}

Field* Fields::find(std::string_view key) {
  for (const auto& [name, target] : aliases_)
    if (name == key) key = target;
  const auto found = std::find_if(list_.begin(), list_.end(), [&](const Field& f) { return f.key == key; });
  return found == list_.end() ? nullptr : &*found;
}

bool Fields::is_section(std::string_view key) const {
  const std::string prefix = std::string(key) + ".";
  return std::any_of(list_.begin(), list_.end(), [&](const Field& f) { return f.key.starts_with(prefix); }) ||
         std::any_of(aliases_.begin(), aliases_.end(), [&](const auto& a) { return a.first.starts_with(prefix); });
}

std::vector<std::string> Fields::keys_and_sections() const {
  std::vector<std::string> names;
  for (const Field& field : list_) {
    for (size_t dot = field.key.find('.'); dot != std::string::npos; dot = field.key.find('.', dot + 1)) {
      const std::string section = field.key.substr(0, dot);
      if (std::find(names.begin(), names.end(), section) == names.end()) names.push_back(section);
    }
    names.push_back(field.key);
  }
  return names;
}

std::string type_name(const Field& field) {
  return std::visit([&](const auto& slot) { return type_name(slot, field.limits); }, field.slot);
}

std::string limits_text(const Limits& limits) {
  if (!limits.choices.empty()) {
    std::string text = limits.choices[0];
    for (size_t i = 1; i < limits.choices.size(); ++i)
      text += (i + 1 == limits.choices.size() ? " or " : ", ") + limits.choices[i];
    return text;
  }
  const double infinity = std::numeric_limits<double>::infinity();
  if (limits.min == -infinity && limits.max == infinity) return "";
  if (limits.min == -infinity) return fmt::format("at most {:g}", limits.max);
  std::string low = fmt::format("{} {:g}", limits.above_min ? "greater than" : "at least", limits.min);
  if (limits.max == infinity) return low;
  return limits.above_min ? low + fmt::format(" and at most {:g}", limits.max)
                          : fmt::format("from {:g} to {:g}", limits.min, limits.max);
}

std::string to_yaml(const Field& field) {
  return std::visit([&](const auto& slot) { return yaml_of(slot, field.limits); }, field.slot);
}

}  // namespace vitrail::recipes
