// How a config struct describes itself: each field once, with its key, meaning and limits. Reading, defaults, --help,
// --print-config and suggestions follow from the description.
//
//   struct OptimConfig {
//     double lr = 1e-3;
//     void describe(Fields& f) { f("lr", lr, "peak learning rate", positive()); }
//   };
//   struct DinoConfig {
//     OptimConfig optim;                                     // keys optim.*
//     void describe(Fields& f) { f("optim", optim); }
//   };
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace vitrail::recipes {

/// The limits of a value, beyond its type. The limits of a list hold for each of its elements.
struct Limits {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool above_min = false;             // min itself is not allowed
  std::vector<std::string> choices;   // of a string or an enum; empty: any
  std::optional<size_t> length = {};  // of a list
  bool path = false;                  // of a string: a file or folder
  bool one = false;                   // of a list: a value without brackets is a list of one

  /// The same limits for a list of exactly n numbers.
  Limits of(size_t n) const {
    Limits result = *this;
    result.length = n;
    return result;
  }
  /// The same limits with `most` as the largest value.
  Limits up_to(double most) const {
    Limits result = *this;
    result.max = most;
    return result;
  }
};
inline Limits at_least(double min) { return {.min = min, .choices = {}}; }
inline Limits between(double min, double max) { return {.min = min, .max = max, .choices = {}}; }
inline Limits positive() { return {.min = 0, .above_min = true, .choices = {}}; }
inline Limits is_path() { return {.choices = {}, .path = true}; }
inline Limits one_or_more() { return {.choices = {}, .one = true}; }
inline Limits one_of(std::vector<std::string> choices) { return {.choices = std::move(choices)}; }

/// One value of an enum and its name in a recipe. A table of them describes a field:
///   constexpr Named<Crop> kCrops[] = {{"pad", Crop::pad}, {"none", Crop::none}};
template <class E>
struct Named {
  std::string_view name;
  E value;
};

/// An enum field. It reads and writes the position of the value in the table; nothing stands for null.
struct EnumSlot {
  std::function<std::optional<size_t>()> get;
  std::function<void(std::optional<size_t>)> set;
  bool optional = false;
};

/// Where the value of a field lives. An optional may be null in a recipe.
using Slot = std::variant<bool*, int64_t*, double*, std::string*, std::vector<int64_t>*, std::vector<double>*,
                          std::vector<std::string>*, std::optional<int64_t>*, std::optional<double>*,
                          std::optional<std::string>*, EnumSlot>;

struct Field {
  std::string key;  // dotted: "optim.lr"
  Slot slot;
  std::string help;
  Limits limits;
  std::string default_yaml;
  std::string origin = "default";  // or "recipe.yaml:12", "command line"
  std::string missing = {};        // the error if the value needs an environment variable that is not set

  /// Whether the command line gave the value.
  bool is_of_command_line() const { return origin == "command line"; }
};

class Fields;
template <class T>
concept Described = requires(T& config, Fields& fields) {
  config.describe(fields);
};

/// The fields of one struct, in the order of their description. Points into the struct, which must outlive it.
class Fields {
 public:
  /// A field of one of Slot's types. help is shown by --help.
  template <class T>
  requires std::constructible_from<Slot, T*>
  void operator()(std::string_view key, T& value, std::string_view help, const Limits& limits = {}) {
    add(key, &value, help, limits);
  }
  /// An enum, by the names in a table that outlives this.
  template <class E, size_t N>
  void operator()(std::string_view key, E& value, std::string_view help, const Named<E> (&names)[N]) {
    add_enum<E>(
        key, [&value] { return std::optional<E>(value); }, [&value](std::optional<E> v) { value = *v; }, help, names,
        false);
  }
  template <class E, size_t N>
  void operator()(std::string_view key, std::optional<E>& value, std::string_view help, const Named<E> (&names)[N]) {
    add_enum<E>(
        key, [&value] { return value; }, [&value](std::optional<E> v) { value = v; }, help, names, true);
  }
  /// A section: its keys become "<key>.<its key>".
  template <Described T>
  void operator()(std::string_view key, T& keys) {
    section(key, [&] { keys.describe(*this); });
  }
  /// The same for keys that are not all of one struct: describe() adds them.
  template <std::invocable F>
  void section(std::string_view key, F&& describe) {
    const std::string outer = prefix_;
    prefix_ += std::string(key) + ".";
    describe();
    prefix_ = outer;
  }

  /// An earlier name of a key, which recipes may still use; or a section that is given as one value, the value of
  /// `key`. Both names are full.
  void also(std::string_view name, std::string_view key) { aliases_.emplace_back(name, key); }

  /// All fields, sections flattened.
  std::vector<Field>& list() { return list_; }
  const std::vector<Field>& list() const { return list_; }
  /// The field of a full key such as "optim.lr", or of another name of it (see also); null if there is none.
  Field* find(std::string_view key);
  const Field* find(std::string_view key) const { return const_cast<Fields*>(this)->find(key); }
  /// Whether keys start with "<key>.".
  bool is_section(std::string_view key) const;
  /// Every full key and every section, for suggestions.
  std::vector<std::string> keys_and_sections() const;

 private:
  void add(std::string_view key, Slot slot, std::string_view help, Limits limits);

  template <class E, class Get, class Set, size_t N>
  void add_enum(std::string_view key, Get get, Set set, std::string_view help, const Named<E> (&names)[N],
                bool optional) {
    const Named<E>* const table = names;
    EnumSlot slot;
    slot.get = [get, table]() -> std::optional<size_t> {
      const std::optional<E> value = get();
      if (!value) return std::nullopt;
      return size_t(std::find_if(table, table + N, [&](const Named<E>& n) { return n.value == *value; }) - table);
    };
    slot.set = [set, table](std::optional<size_t> at) {
      set(at ? std::optional<E>(table[*at].value) : std::optional<E>());
    };
    slot.optional = optional;
    Limits limits;
    for (const Named<E>& entry : names) limits.choices.emplace_back(entry.name);
    add(key, std::move(slot), help, std::move(limits));
  }

  std::string prefix_;
  std::vector<Field> list_;
  std::vector<std::pair<std::string, std::string>> aliases_;  // from, to
};

std::string type_name(const Field& field);      // "number", "list of 2 numbers", "integer or null", ...
std::string limits_text(const Limits& limits);  // "greater than 0", "from 0 to 1", "a, b or c"; "" if there are none
std::string to_yaml(const Field& field);        // the current value; reading it gives the same value

}  // namespace vitrail::recipes
