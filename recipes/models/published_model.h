// Published models: weights in the layouts of other programs, alone in a file or in a folder that says what they are.
#pragma once

#include "vitrail/data/text/vocabulary.h"
#include "vitrail/nn/weights/architecture.h"
#include "vitrail/recipes/build/preprocessing.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace vitrail::recipes {

/// All that it takes to use a model.
struct PublishedModel {
  std::filesystem::path source;        // the file of the weights
  const nn::Layout* layout = nullptr;  // in which they lay there
  std::variant<nn::VitConfig, nn::ClipConfig> architecture;
  TensorMap weights;  // under our names
  Preprocessing preprocessing;
  std::vector<std::string> classes;              // what a classifier's outputs are called; empty: unknown
  std::function<data::Vocabulary()> vocabulary;  // of a CLIP, read when asked for; empty: unknown
  std::vector<std::string> notes;                // what was left out or had to be assumed

  bool is_clip() const { return std::holds_alternative<nn::ClipConfig>(architecture); }
  /// Of the image tower, if it is a CLIP.
  const nn::VitConfig& vision() const {
    return is_clip() ? std::get<nn::ClipConfig>(architecture).vision : std::get<nn::VitConfig>(architecture);
  }
};

/// What the user knows better than the file.
struct PublishedOptions {
  const nn::Layout* layout = nullptr;  // null: recognised from the names
  nn::Unwritten unwritten = {};
};

/// path: a folder as Hugging Face lays it (config.json, preprocessor_config.json, model.safetensors or its shards,
/// merges.txt) or as timm or open_clip do; or a file of weights alone, or its index. A file with a name
/// that such folders use is read with the config.json beside it.
///
/// Throws: ConfigError if there is nothing such, and for PyTorch's own files, saying how to convert them; IoError as
/// safetensors::Reader, parse_config and from_layout, and if config.json and weights do not belong together.
PublishedModel read_published_model(const std::filesystem::path& path, const PublishedOptions& options = {});

/// The models, in evaluation mode. Weights that need no copy are shared with model.weights.
/// Throws: ConfigError if it is a model of the other kind; IoError listing what does not fit under the file's names.
std::unique_ptr<nn::VisionTransformer> build_vit(const PublishedModel& model);
std::unique_ptr<nn::Clip> build_clip(const PublishedModel& model);
/// The same of either kind, of a CLIP the image tower.
std::unique_ptr<nn::VisionTransformer> build_vision(const PublishedModel& model);

/// The file of the weights that path stands for; nothing if it is neither such a file nor a folder with one, but maybe
/// a run. Throws ConfigError for PyTorch's own files, saying how to convert them.
std::optional<std::filesystem::path> published_weights(const std::filesystem::path& path);

}  // namespace vitrail::recipes
