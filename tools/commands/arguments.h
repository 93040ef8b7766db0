// What the commands that use trained models share: their arguments, and progress on the terminal.
#pragma once

#include "vitrail/recipes/models/trained_model.h"
#include "vitrail/recipes/run/progress.h"

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace vitrail::tools {

/// A checkpoint, then other data (a word without '=') and changes of its recipe (key=value).
struct ModelArguments {
  std::string checkpoint;
  std::vector<std::string> rest;

  /// Declares the two.
  void add_to(CLI::App& command, const std::string& what_data);
  std::vector<std::string> changes() const;
  /// Throws as load_trained_model.
  recipes::TrainedModel load() const { return recipes::load_trained_model(checkpoint, changes()); }
};

/// Shows how far a long piece of work is, on a terminal only.
class TerminalProgress final {
 public:
  /// phase: "eval", "features", ...; a literal.
  recipes::Tick tick(const char* phase);
  /// A line that stays, on standard error.
  void message(const std::string& text) { progress_.message(text); }

 private:
  recipes::Progress progress_{stderr};
};

}  // namespace vitrail::tools
