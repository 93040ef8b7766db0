// Published models: weights in the layouts of other programs, alone in a file or in a folder with their configuration.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/data/text/vocabulary.h"
#include "vitrail/nn/weights/architecture.h"
#include "vitrail/recipes/build/preprocessing.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

class Architecture;

/// A model as files have it: its architecture, its weights, and the facts that it takes to use them.
struct PublishedModel {
  std::filesystem::path source;        // the file of the weights
  const nn::Layout* layout = nullptr;  // in which the file has them
  std::shared_ptr<const Architecture> architecture;
  TensorMap weights;  // under our names
  Preprocessing preprocessing;
  std::vector<std::string> classes;              // names of a classifier's outputs; empty: unknown
  std::function<data::Vocabulary()> vocabulary;  // of a CLIP, read when asked for; empty: unknown
  std::vector<std::string> notes;                // what was left out or had to be assumed
};

/// Facts from the user, which go before those in the file.
struct PublishedOptions {
  const nn::Layout* layout = nullptr;  // null: recognised from the names
  nn::Unwritten unwritten = {};
};

/// path: a folder in the form of Hugging Face (config.json, preprocessor_config.json, model.safetensors or its shards,
/// merges.txt), timm or open_clip; or a file of weights alone, or its index. A file with a name that such folders use
/// is read with the config.json beside it.
///
/// Throws: ConfigError if there is no such thing, and for PyTorch's own files, saying how to convert them; IoError as
/// safetensors::Reader, parse_config and from_layout, and if config.json and weights do not belong together.
PublishedModel read_published_model(const std::filesystem::path& path, const PublishedOptions& options = {});

/// The names of a classifier's outputs, from the files beside the weights or from their metadata; empty: unknown.
std::vector<std::string> published_classes(const std::filesystem::path& weights);

/// The file of the weights at path: path itself or a file in that folder. Nothing if there is none; path may be a run.
/// Throws ConfigError for PyTorch's own files, saying how to convert them.
std::optional<std::filesystem::path> published_weights(const std::filesystem::path& path);

}  // namespace vitrail::recipes
