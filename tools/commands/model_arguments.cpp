#include "tools/commands/model_arguments.h"

namespace vitrail::tools {
namespace {

/// As a YAML string.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? "''" : std::string(1, c);
  return result + "'";
}

}  // namespace

void ModelArguments::add_to(const Command& command, const std::string& data_help) {
  command
      .option("checkpoint", checkpoint,
              "folder of a run (its best.h5, else last.h5; averaged weights if it has them), a checkpoint, the folder "
              "of a published model, or a .safetensors file")
      .required();
  command.option("data", rest, data_help + "; key=value, overrides the recipe");
  background.add_to(command);
}

std::vector<std::string> ModelArguments::changes() const {
  std::vector<std::string> result = background.changes();
  for (const std::string& word : rest) {
    const bool is_change = word.find('=') != std::string::npos;
    result.push_back(is_change ? word : "data.root=" + quoted(word));
  }
  return result;
}

}  // namespace vitrail::tools
