// Writes models in the layouts of other programs.
#pragma once

#include "vitrail/recipes/models/published_model.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

struct WrittenModel {
  std::vector<std::filesystem::path> files;
  std::vector<std::string> notes;  // changes made for the layout, and facts that the other program must be told
};

/// The layout of that name, or for "hf" the one of Hugging Face that fits.
/// Throws ConfigError if it has no place for the model.
const nn::Layout& layout_for(const PublishedModel& model, std::string_view name);

/// layout: a name of nn::layouts(), or "hf" for the layout of Hugging Face that fits. In a layout of Hugging Face, out
/// becomes a folder with config.json, preprocessor_config.json, model.safetensors and, if the model has a vocabulary,
/// the files of the tokenizer. In open_clip's it becomes a folder with open_clip_config.json. In every other layout,
/// out is a file of weights and ends in .safetensors.
///
/// A file of weights does not say how images are prepared; a note does.
///
/// Throws: ConfigError for a layout that has no place for the model, before anything is written; IoError if a file
/// cannot be written.
WrittenModel write_model(const PublishedModel& model, std::string_view layout, const std::filesystem::path& out);

}  // namespace vitrail::recipes
