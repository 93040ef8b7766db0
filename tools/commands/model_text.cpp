#include "tools/commands/model_text.h"

#include "tools/commands/model_notes.h"
#include "vitrail/recipes/models/model_family.h"

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>

namespace vitrail::tools {

std::string describe(const recipes::PublishedModel& model) {
  int64_t parameters = 0;
  for (const auto& [name, t] : model.weights) parameters += t.numel();
  return fmt::format("{}; {} parameters", model.architecture->describe(), parameters);
}

void print_written(const recipes::WrittenModel& written) {
  for (const std::filesystem::path& file : written.files)
    fmt::print("wrote {} ({} bytes)\n", file.string(), std::filesystem::file_size(file));
  if (!written.files.empty()) print_notes(written.files.front().string(), written.notes);
}

}  // namespace vitrail::tools
