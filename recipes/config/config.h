// Recipes: strict YAML read into a config struct (fields.h), changed by key=value, printed with the origin of each
// value. Nothing is guessed: a key that is unknown or given twice, or a value of another type, is an error that says
// where and what was expected.
#pragma once

#include "vitrail/recipes/config/fields.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

/// One struct and what recipes and the command line make of it.
///
///   DinoConfig dino;
///   Config config(dino);
///   config.read("recipes/dino.yaml", {"optim.lr=1e-4"});
///
/// A recipe is one YAML document of at most 64 KiB, 32 levels and 10,000 nodes with aliases expanded. Booleans are true
/// and false, integers decimal, numbers finite; tags and merge keys are refused. In a string ${env:NAME} stands for the
/// environment variable, which must be set unless a change replaces the value, and ${recipe_dir} for the folder of the
/// recipe.
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
  /// name stands for the file in messages and origins.
  void read_text(std::string_view text, const std::string& name, const std::vector<std::string>& changes = {});
  /// "optim.lr=1e-4", "crops.scale=[0.4, 1.0]", "crops={scale: [0.4, 1.0]}"; "optim.lr=~" goes back to the default.
  /// The value is YAML as inside brackets.
  void set(std::string_view assignment);

  /// All values as a recipe; each line ends with the value's origin, if wanted.
  std::string yaml(bool origins = true) const;
  /// A table of keys, types, defaults and meanings.
  std::string help() const;

 private:
  Fields fields_;
  std::filesystem::path recipe_dir_ = ".";
};

/// The value of the key "recipe" in a recipe file: the name of its method.
/// Throws ConfigError if there is none or no such file or it is no recipe, IoError if it cannot be read.
std::string recipe_name(const std::filesystem::path& path);
/// The same for the text of a recipe; name stands for it in messages.
std::string recipe_name(std::string_view text, const std::string& name);

}  // namespace vitrail::recipes
