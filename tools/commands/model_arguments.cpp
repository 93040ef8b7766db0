#include "tools/commands/model_arguments.h"

#include "tools/commands/model_notes.h"
#include "vitrail/data/sources/open_dataset.h"

namespace vitrail::tools {
namespace {

/// As a YAML string.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? "''" : std::string(1, c);
  return result + "'";
}

}  // namespace

void ModelArguments::add_to(const Command& command, const std::string& data_help, const std::string& model_help) {
  command.option("checkpoint", checkpoint, model_help).required();
  command.option("data", rest, data_help + "; key=value, overrides the recipe");
  background.add_to(command);
  published.add_to(command);
  add_network_option(command, network);
}

recipes::OpenModel ModelArguments::open() const {
  return open_with_notes(checkpoint, changes(), published.options(network));
}

std::vector<std::string> ModelArguments::changes() const {
  std::vector<std::string> result = background.changes();
  for (const std::string& word : rest) {
    const bool is_change = word.find('=') != std::string::npos;
    const char* const key = !is_change && data::is_undivided(word) ? "data.val_root=" : "data.root=";
    result.push_back(is_change ? word : key + quoted(word));
  }
  return result;
}

}  // namespace vitrail::tools
