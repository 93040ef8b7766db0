// Recipes: strict YAML, read into a config struct (fields.h), changed by key=value, printed with the origin of each
// value. A key that is unknown or given twice, or a value of another type, is an error with its place and the expected
// type.
#pragma once

#include "vitrail/recipes/config/fields.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

/// Reads recipes and changes into a config struct.
///
///   DinoConfig dino;
///   Config config(dino);
///   config.read("recipes/dino.yaml", {"optim.lr=1e-4"});
///
/// A recipe is one YAML document of at most 64 KiB, 32 levels and 10,000 nodes with aliases expanded. Booleans are true
/// and false, integers decimal, numbers finite. Tags and merge keys are errors. In a string, ${env:NAME} is replaced by
/// the environment variable and ${recipe_dir} by the folder of the recipe. The variable must be set, unless a change
/// replaces the value.
/// Throws ConfigError "[config] <file>:<line>:<column>: ..." or "[config] command line: ...".
class Config {
 public:
  /// config must outlive this.
  template <Described T>
  explicit Config(T& config) {
    config.describe(fields_);
  }

  /// Throws ConfigError if there is no such file, IoError if it cannot be read. changes: as for set, in order.
  void read(const std::filesystem::path& path, const std::vector<std::string>& changes = {});
  /// name: of the text, for messages and origins.
  void read_text(std::string_view text, const std::string& name, const std::vector<std::string>& changes = {});
  /// "optim.lr=1e-4", "crops.scale=[0.4, 1.0]", "crops={scale: [0.4, 1.0]}"; "optim.lr=~" restores the default.
  /// The value is YAML in the grammar of a list element.
  void set(std::string_view assignment);

  /// The same for a value that the program chose. origin: where it comes from, for yaml().
  void set(std::string_view assignment, const std::string& origin);
  /// Makes the paths of files that exist absolute, so that the values mean the same in any folder.
  void make_paths_absolute();

  /// The field of a key; null if there is none.
  const Field* find(std::string_view key) const { return fields_.find(key); }
  const std::vector<Field>& fields() const { return fields_.list(); }

  /// All values as a recipe. origins: each line ends with the origin of its value.
  std::string yaml(bool origins = true) const;
  /// A table of keys, types, defaults and meanings.
  std::string help() const;

 private:
  Fields fields_;
  std::filesystem::path recipe_dir_ = ".";
};

/// A value that differs between two configs of one struct, as recipes write it.
struct ChangedValue {
  std::string key, from, to;
};
std::vector<ChangedValue> changed_values(const Config& before, const Config& after);

/// The value of the key "recipe" in a recipe file: the name of its method.
/// Throws ConfigError if there is no such file or key, or if the file is no recipe; IoError if it cannot be read.
std::string recipe_name(const std::filesystem::path& path);
/// The same for the text of a recipe. name: of the text, for messages.
std::string recipe_name(std::string_view text, const std::string& name);

}  // namespace vitrail::recipes
