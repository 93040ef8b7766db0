// How a config struct describes itself, once: each field with its key, meaning and limits. Reading, defaults, --help,
// --print-config and suggestions all follow from that description.
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

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace vitrail::recipes {

/// What a value must keep to, beyond its type. The limits of a list hold for each of its numbers.
struct Limits {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool above_min = false;             // min itself is not allowed
  std::vector<std::string> choices;   // of a string, or of each string of a list; empty: any
  std::optional<size_t> length = {};  // of a list

  /// The same limits for a list of exactly n numbers.
  Limits of(size_t n) const {
    Limits result = *this;
    result.length = n;
    return result;
  }
  Limits up_to(double most) const {
    Limits result = *this;
    result.max = most;
    return result;
  }
};
inline Limits at_least(double min) { return {.min = min, .choices = {}}; }
inline Limits between(double min, double max) { return {.min = min, .max = max, .choices = {}}; }
inline Limits positive() { return {.min = 0, .above_min = true, .choices = {}}; }
inline Limits one_of(std::vector<std::string> choices) { return {.choices = std::move(choices)}; }

/// Where a field's value lives. An optional may be null in a recipe.
using Slot = std::variant<bool*, int64_t*, double*, std::string*, std::vector<int64_t>*, std::vector<double>*,
                          std::vector<std::string>*, std::optional<int64_t>*, std::optional<double>*,
                          std::optional<std::string>*>;

struct Field {
  std::string key;  // dotted: "optim.lr"
  Slot slot;
  std::string help;
  Limits limits;
  std::string default_yaml;
  std::string origin = "default";  // or "recipe.yaml:12", "command line"
  std::string missing = {};        // why the value is not there: it needs an environment variable that is not set
};

class Fields;
template <class T>
concept Described = requires(T& config, Fields& fields) {
  config.describe(fields);
};

/// The fields of one struct, in the order described. Points into the struct, which must outlive it.
class Fields {
 public:
  template <class T>
  requires std::constructible_from<Slot, T*>
  void operator()(std::string_view key, T& value, std::string_view help, const Limits& limits = {}) {
    add(key, &value, help, limits);
  }
  /// A section: its keys become "<key>.<its key>".
  template <Described T>
  void operator()(std::string_view key, T& section) {
    const std::string outer = prefix_;
    prefix_ += std::string(key) + ".";
    section.describe(*this);
    prefix_ = outer;
  }

  std::vector<Field>& list() { return list_; }
  const std::vector<Field>& list() const { return list_; }
  Field* find(std::string_view key);
  bool is_section(std::string_view key) const;
  std::vector<std::string> keys_and_sections() const;

 private:
  void add(std::string_view key, Slot slot, std::string_view help, Limits limits);

  std::string prefix_;
  std::vector<Field> list_;
};

std::string type_name(const Field& field);      // "number", "list of 2 numbers", "integer or null", ...
std::string limits_text(const Limits& limits);  // "greater than 0", "from 0 to 1", "a, b or c"; "" if there are none
std::string to_yaml(const Field& field);        // the value now; reading it gives the same value

}  // namespace vitrail::recipes
