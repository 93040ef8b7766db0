// OpenModel: a model that is ready to use, whether a run left it or somebody published it.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/data/sources/class_match.h"
#include "vitrail/data/text/vocabulary.h"
#include "vitrail/nn/backbone.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/build/lora.h"
#include "vitrail/recipes/build/preprocessing.h"
#include "vitrail/recipes/eval/features.h"
#include "vitrail/recipes/eval/zero_shot.h"
#include "vitrail/recipes/models/published_model.h"
#include "vitrail/recipes/run/recipe.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

class Architecture;

/// Images [B, 3, H, W] to the tokens of each.
using TokensOf = std::function<nn::Tokens(const Tensor& images)>;

/// The labelled images that a command shows to a model, and how it computes. A run has them in its recipe. For a
/// published model they are keys of the command line, with these defaults.
struct EvalSettings {
  DataConfig data;
  int64_t batch_size = 32;
  int64_t seed = 0;
  DType precision = DType::f32;

  void describe(Fields& f);
};

/// The adapters of a run with LoRA.
struct OpenAdapters {
  LoraSection settings;
  std::string base;   // the path of the weights that they change
  TensorMap weights;  // "blocks.0.attn.qkv.lora_a" [rank, in], ".lora_b" [out, rank]
};

/// A model, in evaluation mode. A capability that it does not have is empty; expect_*() turn that into an error.
/// Every function computes in the type of ag::Autocast, and keeps the network alive.
struct OpenModel {
  std::filesystem::path source;                  // the file of the weights
  std::vector<std::string> notes;                // assumptions made to open it
  bool averaged = false;                         // the weights are a run's moving averages
  std::shared_ptr<const RecipeConfig> settings;  // the run's recipe; null: a published model
  std::optional<OpenAdapters> adapters;          // of a run with LoRA; the network has them added to its weights
  Preprocessing preprocessing;
  EvalSettings eval;

  std::shared_ptr<nn::ModuleBase> network;                   // with all its parts
  std::shared_ptr<nn::Backbone> backbone;                    // the image network; of a CLIP, its image tower by itself
  std::shared_ptr<const Architecture> architecture;          // null: it cannot be published (a ResNet)
  std::function<std::unique_ptr<nn::Backbone>()> untrained;  // the backbone before its first step

  FeatureOf image_features;          // [B, D]: the classifier's input; of a CLIP, in the space of both towers
  TokensOf tokens;                   // patch tokens and prefix tokens
  FeatureOf classify;                // logits [B, K]
  std::vector<std::string> classes;  // names of the K outputs; empty: unknown
  TextFeatures text_features;        // [n, D], in the space of image_features
  double logit_scale = 1;            // factor of the cosines between images and texts
  std::function<data::Vocabulary()> vocabulary;  // of text_features
  /// Symbols of a text that text_features does not read, because the text tower's context is shorter; 0: none.
  std::function<int64_t(const std::string& text)> symbols_cut;
};

/// path: a checkpoint or the folder of a run (see open_run), or a published model (see read_published_model).
/// changes: key=value; of the run's recipe, or of the EvalSettings of a published model.
/// options: for a published model; options.network also for a run that has a student and a teacher.
/// Throws as open_run and read_published_model; ConfigError for changes that do not fit and for a network that is not
/// there, IoError if the weights do not fit the architecture.
OpenModel open_model(const std::filesystem::path& path, const std::vector<std::string>& changes = {},
                     const PublishedOptions& options = {});
OpenModel open_model(const PublishedModel& published, const std::vector<std::string>& changes = {});

/// The model as write_model takes it. Throws ConfigError for a network that no layout has a place for.
PublishedModel to_published(const OpenModel& model);

/// The classes of a classifier, for data::match_classes.
data::ClassList class_list(const OpenModel& model);
/// The dataset with the classes of the model's outputs as its labels. If the model does not name them, they have the
/// names of the data. Throws as data::match_classes.
struct MatchedData {
  std::unique_ptr<data::Dataset> images;
  std::string note;  // how the classes were matched, if not by name; else empty
};
MatchedData match_data(const OpenModel& model, std::unique_ptr<data::Dataset> images, std::string_view command);

/// Throw ConfigError naming the command, the model and the models that can do it.
void expect_classes(const OpenModel& model, std::string_view command);
void expect_tokens(const OpenModel& model, std::string_view command);
void expect_texts(const OpenModel& model, std::string_view command);

// For families and methods, which open models.

/// Gives an image network and its capabilities to opened.
void set_backbone(OpenModel& opened, const std::shared_ptr<nn::Backbone>& backbone);

/// A prefix of names in Recipe::state() that holds a network for images.
struct KeptNetwork {
  std::string_view prefix;
  bool averaged = false;         // it is a moving average
  std::string_view others = {};  // where the weights are that the average lacks, because they do not move
};
/// For RecipeConfig::open: builds the first network of `kept` that state holds, by settings.build_backbone, loads it,
/// and gives it to opened. Throws IoError if state holds none of them, or other weights than the recipe asks for.
void open_backbone(OpenModel& opened, const RecipeConfig& settings, const TensorMap& state,
                   std::span<const KeptNetwork> kept);
/// The weights of a run whose recipe is settings, with its adapters added to them. opened keeps the adapters.
TensorMap merge_adapters(OpenModel& opened, const RecipeConfig& settings, TensorMap weights);

/// All of a dataset once, in order, as the model is evaluated on it. dataset and bad_files outlive the loader.
std::unique_ptr<data::Loader> eval_loader(const OpenModel& model, const data::Dataset& dataset,
                                          data::BadFiles& bad_files);

}  // namespace vitrail::recipes
