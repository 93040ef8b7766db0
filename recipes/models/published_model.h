// Published models: weights in the layouts of other programs, alone in a file or in a folder with their configuration.
#pragma once

#include "vitrail/core/io/safetensors.h"
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
  TensorMap weights;                                      // under our names
  safetensors::Floats floats = safetensors::Floats::f32;  // f16: that is the type of the file's weights
  Preprocessing preprocessing;
  std::vector<std::string> classes;              // names of a classifier's outputs; empty: unknown
  std::function<data::Vocabulary()> vocabulary;  // of a CLIP; empty: unknown. Throws if it is of a kind not built
  std::vector<std::string> notes;                // what was left out or had to be assumed
};

/// Facts from the user, which go before those in the file.
struct PublishedOptions {
  const nn::Layout* layout = nullptr;  // null: recognised from the names
  nn::Unwritten unwritten = {};
  std::vector<std::string> accept_keys = {};  // keys of config.json to pass over: "dropout", or with its path
  std::string network = "";                   // of a checkpoint with a student and a teacher, see nn::Selection
  std::string base = "";                      // of an adapter: its base model; empty: where the adapter's file says
};

/// path: a folder in the form of Hugging Face (config.json, preprocessor_config.json or processor_config.json,
/// model.safetensors or its shards, merges.txt or tokenizer.json), timm or open_clip; or a file of weights alone, or
/// its index. A file with a name that such folders use is read with the config.json beside it. A folder may give its
/// only .safetensors file any name. A folder of PEFT gives its base model with the adapter added to the weights.
///
/// Throws: ConfigError if there is no such thing, and for PyTorch's own files, saying how to convert them; IoError as
/// safetensors::Reader, parse_config, read_in_layout and read_adapted_model, and if config.json, weights and vocabulary
/// do not belong together.
PublishedModel read_published_model(const std::filesystem::path& path, const PublishedOptions& options = {});

/// The settings that a configuration beside the weights states and no weight shows; none if there is no configuration.
/// Notes go to notes. Throws IoError as parse_config.
nn::Unwritten stated_beside(const std::filesystem::path& weights, const std::vector<std::string>& accept_keys,
                            std::vector<std::string>& notes);
/// The names of a classifier's outputs, from the files beside the weights or from their metadata; empty: unknown.
std::vector<std::string> published_classes(const std::filesystem::path& weights,
                                           const std::vector<std::string>& accept_keys = {});

/// The file of the weights at path: path itself or a file in that folder. Nothing if there is none; path may be a run.
/// Throws ConfigError for PyTorch's own files, saying how to convert them, and for a folder with several files of
/// weights, listing them.
std::optional<std::filesystem::path> published_weights(const std::filesystem::path& path);

}  // namespace vitrail::recipes
