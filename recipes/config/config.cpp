#include "vitrail/recipes/config/config.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/recipes/config/suggest.h"
#include "vitrail/recipes/config/yaml_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

namespace vitrail::recipes {
namespace {

using Kind = YamlNode::Kind;

/// Thrown for a value that needs an environment variable that is not set. A change may still replace the value.
struct Missing {
  std::string message;
};

/// Sets fields from the nodes of one source: a file, or one assignment on the command line.
class Reader {
 public:
  /// line_by_line: the nodes have lines and columns.
  Reader(Fields& fields, std::string source, bool line_by_line, std::filesystem::path recipe_dir)
      : fields_(fields), source_(std::move(source)), places_(line_by_line), recipe_dir_(std::move(recipe_dir)) {}

  void read_map(const YamlNode& map, const std::string& section) {
    for (size_t i = 0; i < map.children.size(); ++i) {
      const std::string& name = map.keys[i].text;
      if (name.find('.') != std::string::npos)
        fail_at(map.keys[i], "key '{}' has a dot; sections are nested, as in {}: {{...}}", name,
                name.substr(0, name.find('.')));
      read(section.empty() ? name : section + "." + name, map.keys[i], map.children[i]);
    }
  }

  /// key_node: the key's place.
  void read(const std::string& key, const YamlNode& key_node, const YamlNode& value) {
    Field* const field = fields_.find(key);
    if (field && (value.kind == Kind::kScalar || !fields_.is_section(key))) {
      if (places_ && field->key != key && field->origin.starts_with(source_ + ":"))
        fail_at(key_node, "'{}' is '{}', which {} gives already", key, field->key, field->origin);
      field->origin = places_ ? fmt::format("{}:{}", source_, value.line) : source_;
      field->missing.clear();
      try {
        read_field(*field, value);
      } catch (const Missing& missing) {
        field->missing = missing.message;
      }
    } else if (fields_.is_section(key)) {
      if (value.kind == Kind::kNull) return;
      if (value.kind != Kind::kMap) fail_at(value, "{} is a section of keys; found {}", key, describe(value));
      read_map(value, key);
    } else {
      fail_at(key_node, "unknown key '{}'{}", key, did_you_mean(key, fields_.keys_and_sections()));
    }
  }

 private:
  std::string place(const YamlNode& node) const {
    return places_ ? fmt::format("{}:{}:{}", source_, node.line, node.column) : source_;
  }
  template <class... Args>
  [[noreturn]] void fail_at(const YamlNode& node, std::string_view format, const Args&... args) const {
    fail<ConfigError>("config", "{}: {}", place(node), fmt::format(fmt::runtime(format), args...));
  }
  [[noreturn]] void fail_type(const Field& field, const YamlNode& node, std::string_view hint = "") const {
    fail_at(node, "{} must be {}; found {}{}", field.key, type_name(field), describe(node), hint);
  }

  static std::string describe(const YamlNode& node) {
    switch (node.kind) {
      case Kind::kNull:
        return "nothing";
      case Kind::kList:
        return fmt::format("a list of {}", node.children.size());
      case Kind::kMap:
        return "a section of keys";
      case Kind::kScalar:
        break;
    }
    const std::string text = node.text.size() > 60 ? node.text.substr(0, 60) + "..." : node.text;
    return node.quoted ? "the string '" + text + "'" : "'" + text + "'";
  }

  void read_field(const Field& field, const YamlNode& node) const {
    std::visit([&](const auto& slot) { read_slot(slot, field, node); }, field.slot);
  }
  template <class T>
  void read_slot(T* slot, const Field& field, const YamlNode& node) const {
    *slot = parse(*slot, field, node);
  }
  void read_slot(const EnumSlot& slot, const Field& field, const YamlNode& node) const {
    if (slot.optional && node.kind == Kind::kNull) return slot.set(std::nullopt);
    const auto& choices = field.limits.choices;
    const std::string name = parse(std::string(), field, node);  // one of them
    slot.set(size_t(std::find(choices.begin(), choices.end(), name) - choices.begin()));
  }

  bool parse(bool, const Field& field, const YamlNode& node) const {
    if (node.kind == Kind::kScalar && !node.quoted) {
      if (node.text == "true") return true;
      if (node.text == "false") return false;
    }
    fail_type(field, node);
  }
  int64_t parse(int64_t, const Field& field, const YamlNode& node) const { return number<int64_t>(field, node); }
  double parse(double, const Field& field, const YamlNode& node) const { return number<double>(field, node); }
  std::string parse(const std::string&, const Field& field, const YamlNode& node) const {
    if (node.kind != Kind::kScalar) fail_type(field, node);
    const auto& choices = field.limits.choices;
    if (choices.empty()) return substitute(field, node);
    if (std::find(choices.begin(), choices.end(), node.text) == choices.end())
      fail_at(node, "{} is {}; it must be {}{}", field.key, describe(node), limits_text(field.limits),
              did_you_mean(node.text, choices));
    return node.text;
  }
  template <class T>
  std::optional<T> parse(const std::optional<T>&, const Field& field, const YamlNode& node) const {
    if (node.kind == Kind::kNull) return std::nullopt;
    return parse(T{}, field, node);
  }
  template <class T>
  std::vector<T> parse(const std::vector<T>&, const Field& field, const YamlNode& node) const {
    const auto length = field.limits.length;
    if (field.limits.one && node.kind == Kind::kScalar) return {parse(T{}, field, node)};
    if (node.kind != Kind::kList || (length && *length != node.children.size())) fail_type(field, node);
    std::vector<T> values;
    values.reserve(node.children.size());
    for (const YamlNode& child : node.children) values.push_back(parse(T{}, field, child));
    return values;
  }

  template <class T>
  T number(const Field& field, const YamlNode& node) const {
    if (node.kind != Kind::kScalar || node.quoted) fail_type(field, node);
    const std::string& text = node.text;
    const size_t first = text.starts_with('-') ? 1 : 0;
    const auto digit = [&](size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
    if (text[first] == '0' && digit(first + 1))
      fail_type(field, node, ", which could be octal; write it without the 0");
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = end == text.data() + text.size();
    if (whole && error == std::errc::result_out_of_range) fail_at(node, "{} is {}: out of range", field.key, text);
    if (!whole || error != std::errc{}) fail_type(field, node);
    if constexpr (std::is_same_v<T, double>)
      if (!std::isfinite(value)) fail_type(field, node, ", which is not finite");
    const Limits& limits = field.limits;
    const double v = double(value);
    if (v < limits.min || v > limits.max || (limits.above_min && v == limits.min))
      fail_at(node, "{} is {}; it must be {}", field.key, text, limits_text(limits));
    return value;
  }

  /// The node's text with ${env:NAME} and ${recipe_dir} replaced.
  std::string substitute(const Field& field, const YamlNode& node) const {
    std::string result;
    std::string_view rest = node.text;
    for (size_t start = rest.find("${"); start != rest.npos; start = rest.find("${")) {
      const size_t end = rest.find('}', start);
      if (end == rest.npos) fail_at(node, "{} has '${{' without '}}'", field.key);
      result += rest.substr(0, start);
      result += variable(field, node, std::string(rest.substr(start + 2, end - start - 2)));
      rest.remove_prefix(end + 1);
    }
    return result += rest;
  }
  std::string variable(const Field& field, const YamlNode& node, const std::string& name) const {
    std::string value;
    if (name == "recipe_dir") {
      value = recipe_dir_.string();
    } else if (name.starts_with("env:")) {
      const char* found = std::getenv(name.c_str() + 4);
      if (!found) {
        const std::string message =
            fmt::format("{}: the environment variable {} is not set", field.key, name.substr(4));
        if (!places_) fail_at(node, "{}", message);
        throw Missing{fmt::format("{}: {}; set it, or give {}=...", place(node), message, field.key)};
      }
      value = found;
    } else {
      fail_at(node, "{}: unknown '${{{}}}'; there are ${{env:NAME}} and ${{recipe_dir}}", field.key, name);
    }
    // The resolved recipe holds the value as it is, and must read back as the same.
    if (value.find("${") != std::string::npos) fail_at(node, "{}: ${{{}}} itself holds '${{'", field.key, name);
    return value;
  }

  Fields& fields_;
  std::string source_;
  bool places_;
  std::filesystem::path recipe_dir_;
};

std::string read_recipe(const std::filesystem::path& path) {
  check<ConfigError>(std::filesystem::exists(path), "config", "{}: no such file", path.string());
  std::error_code unknown;
  const auto bytes = std::filesystem::file_size(path, unknown);
  check<ConfigError>(unknown || int64_t(bytes) <= kMaxRecipeBytes, "config", "{}: {} bytes; a recipe has at most {}",
                     path.string(), bytes, kMaxRecipeBytes);
  return read_file(path, kMaxRecipeBytes);
}

YamlNode parse_recipe(std::string_view text, const std::string& name) {
  YamlNode root = parse_yaml(text, name);
  check<ConfigError>(root.kind == Kind::kMap, "config", "{}:{}:{}: a recipe is a list of 'key: value'", name, root.line,
                     root.column);
  return root;
}

/// The value of "key=value", parsed in brackets: in YAML's flow style.
YamlNode parse_value(std::string_view value, const std::string& source) {
  YamlNode list;
  try {
    list = parse_yaml("[" + std::string(value) + "]", source);
  } catch (const ConfigError&) {
    fail<ConfigError>("config", "{}: the value is no YAML; quote it if it is text", source);
  }
  check<ConfigError>(list.kind == Kind::kList && !list.children.empty(), "config",
                     "{}: nothing after '='; write '' for an empty string", source);
  check<ConfigError>(list.children.size() == 1, "config", "{}: a list is written in brackets: [{}]", source, value);
  return list.children[0];
}

}  // namespace

void Config::read(const std::filesystem::path& path, const std::vector<std::string>& changes) {
  recipe_dir_ = path.has_parent_path() ? path.parent_path() : ".";
  read_text(read_recipe(path), path.string(), changes);
}

void Config::read_text(std::string_view text, const std::string& name, const std::vector<std::string>& changes) {
  Reader(fields_, name, true, recipe_dir_).read_map(parse_recipe(text, name), "");
  for (const std::string& change : changes) set(change);
  for (const Field& field : fields_.list()) check<ConfigError>(field.missing.empty(), "config", "{}", field.missing);
}

void Config::set(std::string_view assignment) {
  const size_t equals = assignment.find('=');
  check<ConfigError>(equals != assignment.npos && equals > 0, "config", "command line: '{}' is not key=value",
                     assignment);
  const std::string key(assignment.substr(0, equals));
  const std::string_view value = assignment.substr(equals + 1);
  Reader reader(fields_, "command line", false, recipe_dir_);
  Field* field = fields_.find(key);
  if (value == "~" && field) {
    reader.read(key, {}, parse_value(field->default_yaml, "command line"));
    field->origin = "default";
    return;
  }
  reader.read(key, {}, parse_value(value, "command line: " + std::string(assignment)));
}

void Config::set(std::string_view assignment, const std::string& origin) {
  set(assignment);
  fields_.find(assignment.substr(0, assignment.find('=')))->origin = origin;
}

void Config::make_paths_absolute() {
  for (Field& field : fields_.list()) {
    std::string** const text = std::get_if<std::string*>(&field.slot);
    if (!field.limits.path || !text || (*text)->empty() || !std::filesystem::exists(**text)) continue;
    **text = std::filesystem::absolute(**text).lexically_normal().string();
  }
}

std::string Config::yaml(bool origins) const {
  struct Line {
    std::string text, origin;
  };
  std::vector<Line> lines;
  std::string section;  // of the line before, with its dot
  for (const Field& field : fields_.list()) {
    const size_t dot = field.key.rfind('.') + 1;  // 0 without a dot
    // Headers of the sections that begin with this key.
    for (size_t end = field.key.find('.'), start = 0; end != std::string::npos;
         start = end + 1, end = field.key.find('.', start))
      if (!section.starts_with(field.key.substr(0, end + 1)))
        lines.push_back(
            {std::string(2 * size_t(std::count(field.key.begin(), field.key.begin() + int64_t(start), '.')), ' ') +
                 field.key.substr(start, end - start) + ":",
             ""});
    section = field.key.substr(0, dot);
    const size_t depth = size_t(std::count(section.begin(), section.end(), '.'));
    lines.push_back(
        {std::string(2 * depth, ' ') + field.key.substr(dot) + ": " + to_yaml(field), origins ? field.origin : ""});
  }
  size_t width = 0;
  for (const Line& line : lines) width = std::max(width, std::min<size_t>(line.text.size(), 60));
  std::string text;
  for (const Line& line : lines)
    text += line.origin.empty() ? line.text + "\n" : fmt::format("{:<{}}  # {}\n", line.text, width, line.origin);
  return text;
}

std::string Config::help() const {
  size_t key_width = 0, default_width = 0;
  for (const Field& field : fields_.list()) {
    key_width = std::max(key_width, field.key.size());
    default_width = std::max(default_width, field.default_yaml.size());
  }
  std::string text;
  for (const Field& field : fields_.list()) {
    const std::string limits = limits_text(field.limits);
    text += fmt::format("  {:<{}}  {:<{}}  {} ({}{}{})\n", field.key, key_width, field.default_yaml, default_width,
                        field.help, type_name(field), limits.empty() ? "" : ", ", limits);
  }
  return text;
}

std::vector<ChangedValue> changed_values(const Config& before, const Config& after) {
  std::vector<ChangedValue> changed;
  for (const Field& field : after.fields()) {
    const Field* const old = before.find(field.key);
    if (old && to_yaml(*old) != to_yaml(field)) changed.push_back({field.key, to_yaml(*old), to_yaml(field)});
  }
  return changed;
}

std::string recipe_name(const std::filesystem::path& path) { return recipe_name(read_recipe(path), path.string()); }

std::string recipe_name(std::string_view text, const std::string& name) {
  const YamlNode root = parse_recipe(text, name);
  for (size_t i = 0; i < root.children.size(); ++i)
    if (root.keys[i].text == "recipe" && root.children[i].kind == Kind::kScalar) return root.children[i].text;
  fail<ConfigError>("config", "{}: no key 'recipe', which names the method, as in 'recipe: supervised'", name);
}

}  // namespace vitrail::recipes
