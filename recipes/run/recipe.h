// Recipe: a training method as the loop sees it. A method supplies its step, its evaluation and its state; the loop
// (loop.h) does the rest: order of work, logs, checkpoints, Ctrl-C, resuming.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/data/load/bad_files.h"
#include "vitrail/data/load/loader.h"
#include "vitrail/recipes/run/stats.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::nn {
class Backbone;
class Scope;
}  // namespace vitrail::nn

namespace vitrail::recipes {

class Fields;
struct DataConfig;
struct Preview;

/// What the loop must know of a run. Functions of time take the number of steps done.
struct Plan {
  std::string name;
  uint64_t seed = 0;
  int64_t epochs = 0;
  int64_t steps_per_epoch = 0;
  int64_t batch_size = 0;
  std::function<double(double)> lr, weight_decay;
  int64_t eval_every = 1;        // epochs; the last one is always evaluated
  int64_t checkpoint_every = 0;  // steps, besides the end of each epoch; 0: only there
  int64_t log_every = 10;        // steps
};

/// Where training is, and what varies with it.
struct At {
  int64_t epoch = 0;  // from 0
  int64_t step = 0;   // from 0, over the whole run
  double lr = 0;
  double weight_decay = 0;
};

struct Evaluation {
  Stats stats;                  // "loss", "top1", ...; accuracies as fractions
  std::optional<double> score;  // the higher the better: decides which checkpoint is best.h5; without one there is none
};

/// Called after each batch of an evaluation. Throws to end it early, if the user asked to stop.
using Tick = std::function<void(int64_t done, int64_t total)>;

/// What --dry-run prints of a model.
struct ModelCard {
  std::string table;  // layers, as nn::to_table
  int64_t parameters = 0;
  int64_t flops_per_image = 0;  // forward, 2 for each multiply-accumulate
};

/// A training method. Everything a step's result depends on is in its arguments and in state().
class Recipe {
 public:
  virtual ~Recipe() = default;

  virtual const Plan& plan() const = 0;
  virtual ModelCard card() = 0;
  /// Called once before the first step of a run, not of one that goes on from a checkpoint: weights from elsewhere.
  /// Returns what there is to tell of it.
  virtual std::vector<std::string> begin() { return {}; }
  /// Training batches from there to the end of the run, each of plan().batch_size.
  virtual std::unique_ptr<data::Loader> load(const data::LoaderState& start) = 0;
  /// One update. The first number returned is the loss.
  /// Throws NumericError, with the weights as before, if the loss or a gradient is not finite (check_finite).
  virtual Stats step(const data::Batch& batch, const At& at) = 0;
  virtual Evaluation evaluate(const Tick& tick) = 0;
  /// Everything that steps change: weights, moments, averages. Shares elements with them.
  virtual TensorMap state() const = 0;
  /// Throws if a name is missing or unknown or a shape differs.
  virtual void load_state(const TensorMap& state) = 0;
  /// What the person who watches should know, since the last call: warnings, with what to change.
  virtual std::vector<std::string> take_messages() { return {}; }
  /// Images that could not be read so far.
  virtual const data::BadFiles& bad_files() const = 0;
};

/// The keys of a recipe file, with their defaults, and what they make. Each method has one; these keys are common to
/// all.
struct RecipeConfig {
  std::string recipe;  // the method
  std::string name;
  std::string out;
  int64_t seed = 0;
  std::string precision = "f32";

  virtual ~RecipeConfig() = default;
  /// Every key; overriders call this first.
  virtual void describe(Fields& fields);
  /// What a method says of its data and of its weights: with build_backbone enough to use a trained model.
  struct Sections {
    const DataConfig& data;
    int64_t batch_size;
    /// How the names of a usable model's weights begin in Recipe::state, the best one first; averaged: they are a
    /// moving average of those that were trained.
    struct Weights {
      std::string_view prefix;
      bool averaged;
    };
    std::vector<Weights> weights;
    bool labelled = true;  // the model has a classifier for the classes of the data
  };
  virtual Sections sections() const = 0;
  /// The network that makes features of images, with a classifier of so many classes, or none. A method whose network
  /// always ends in something else keeps that.
  virtual std::unique_ptr<nn::Backbone> build_backbone(const nn::Scope& scope, int64_t num_classes) const = 0;
  /// Training images as the first steps see them, about count; see recipes::preview.
  virtual Preview preview(int64_t count) const;
  /// Opens the data and builds the model.
  /// Throws ConfigError for values that do not fit together, DataError or IoError for data.
  virtual std::unique_ptr<Recipe> build() const = 0;
};

/// The methods: what `recipe:` in a file may say.
std::vector<std::string> methods();
/// The defaults of a method. Throws ConfigError listing them all for an unknown one.
std::unique_ptr<RecipeConfig> method_config(std::string_view method);

/// Throws NumericError naming the step if value is not finite.
void check_finite(std::string_view name, double value, const At& at);

/// Entries of map whose names begin with prefix, without it.
TensorMap without_prefix(const TensorMap& map, std::string_view prefix);
/// Entries of map whose names begin with "prefix/", without it; and the other way round.
TensorMap sub_map(const TensorMap& map, std::string_view prefix);
void add_map(TensorMap& map, std::string_view prefix, const TensorMap& entries);

}  // namespace vitrail::recipes
