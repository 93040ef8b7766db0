#include "tools/commands/arguments.h"

#include <unistd.h>

namespace vitrail::tools {
namespace {

/// As a YAML string.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? "''" : std::string(1, c);
  return result + "'";
}

}  // namespace

void ModelArguments::add_to(CLI::App& command, const std::string& what_data) {
  command
      .add_option("checkpoint", checkpoint,
                  "folder of a run (its best.h5, else last.h5; averaged weights if it has them), its checkpoint, or a "
                  "published model: its folder, or a .safetensors file")
      ->required();
  command.add_option("data", rest, what_data + "; key=value, in place of what the recipe says");
}

std::vector<std::string> ModelArguments::changes() const {
  std::vector<std::string> result;
  for (const std::string& word : rest) {
    const bool is_change = word.find('=') != std::string::npos;
    result.push_back(is_change ? word : "data.root=" + quoted(word));
  }
  return result;
}

recipes::Tick TerminalProgress::tick(const char* phase) {
  return [this, phase](int64_t done, int64_t total) {
    if (!isatty(STDERR_FILENO) || !progress_.due()) return;
    recipes::ProgressView view;
    view.epoch = view.epochs = 1;
    view.phase = phase;
    view.step = done;
    view.steps = total;
    progress_.update(view);
  };
}

}  // namespace vitrail::tools
