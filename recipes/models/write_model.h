// Writing models as other programs load them.
#pragma once

#include "vitrail/recipes/models/published_model.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

struct WrittenModel {
  std::vector<std::filesystem::path> files;
  std::vector<std::string> notes;  // what the other side is to be told, and what was changed for it
};

/// layout: a name of nn::layouts(), or "hf" for the one of Hugging Face that fits. Hugging Face's become a folder with
/// config.json, preprocessor_config.json, model.safetensors and, with a vocabulary, the tokenizer's files; open_clip's
/// a folder with open_clip_config.json; the others a file of weights, which out must be called.
///
/// Throws: ConfigError for a layout that has no place for the model, before anything is written; IoError if a file
/// cannot be written.
WrittenModel write_model(const PublishedModel& model, std::string_view layout, const std::filesystem::path& out);

}  // namespace vitrail::recipes
