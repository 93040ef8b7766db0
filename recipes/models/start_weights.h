// Weights from which a run starts.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/nn/weights/architecture.h"
#include "vitrail/nn/weights/layout.h"
#include "vitrail/recipes/build/preprocessing.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::nn {
class Backbone;
}

namespace vitrail::recipes {

struct StartWeights {
  TensorMap tensors;                         // under our names
  const nn::Layout* layout = nullptr;        // of the file; null: a checkpoint of ours, or names of no layout
  std::vector<std::string> notes;            // what was left out
  std::vector<std::string> classes = {};     // names of the classifier's outputs; empty: unknown
  nn::Unwritten unwritten = {};              // what a configuration beside the file says
  std::optional<Preprocessing> pixels = {};  // that the weights were trained on, if that is known: of a run
};

/// The help of the key accept_keys of recipes that read published models.
inline constexpr const char* kAcceptKeysHelp =
    "keys in the configuration of a published model (of init, of a teacher) to pass over, though they are not known";

/// The weights of a safetensors file (or the index of its shards) or of a published model's folder, in any layout that
/// find_layout knows; or the image network of a run, as open_model takes it. accept_keys: keys to
/// pass over in a configuration beside the file (hub_config.h).
/// Throws: ConfigError or IoError as published_weights, safetensors::Reader, from_layout, parse_config and open_model.
StartWeights read_weights(const std::filesystem::path& path, const std::vector<std::string>& accept_keys = {});
/// Makes the classifier of start one for the named classes: its rows are taken by name. Does nothing if start does not
/// name its classes, or if no name agrees and the numbers of classes do; a note says so. Leaves the classifier out if
/// it lacks some of the classes.
void fit_classifier(StartWeights& start, const std::vector<std::string>& classes);
/// The weights of both towers of a CLIP, from the same places. Throws IoError too if there is no text tower.
StartWeights read_clip_weights(const std::filesystem::path& path, const std::vector<std::string>& accept_keys = {});

/// Loads start into a model: see nn::load_pretrained. init: where the weights are from; pixels: how the model will see
/// its images. Returns messages for the log, each beginning with "[init]". Throws IoError saying what to change if the
/// weights do not fit.
std::vector<std::string> load_start(nn::Backbone& model, StartWeights start, const std::string& init,
                                    const Preprocessing& pixels);

/// The image tower of a CLIP as a model by itself, without its projection. Other weights are returned as they are.
StartWeights without_texts(StartWeights start);

/// A sentence about each setting that no weight shows and that a model has other than its starting weights' own model.
std::vector<std::string> differences(const nn::VitConfig& model, const nn::Unwritten& weights);

}  // namespace vitrail::recipes
