// Recipe: a training method as the loop sees it. A method supplies its step, its evaluation and its state. The loop
// (loop.h) supplies the order of work, logs, checkpoints, Ctrl-C and resuming.
#pragma once

#include "vitrail/core/dtype.h"
#include "vitrail/core/tensor_map.h"
#include "vitrail/data/image/image.h"
#include "vitrail/data/load/loader.h"
#include "vitrail/optim/update.h"
#include "vitrail/recipes/run/stats.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vitrail::nn {
class Backbone;
class ModuleBase;
class Scope;
}  // namespace vitrail::nn
namespace vitrail::optim {
class ModelEma;
}

namespace vitrail::recipes {

class Config;
class Fields;
struct DataConfig;
struct LoraSection;
struct OpenModel;
using optim::At;
using optim::check_finite;

/// The length of a run and its schedules. A schedule is a function of the number of steps done.
struct Plan {
  std::string name;
  uint64_t seed = 0;
  DType compute = DType::f32;  // of steps and evaluations, see ag::Autocast
  int64_t epochs = 0;
  int64_t steps_per_epoch = 0;
  int64_t steps_per_pass = 0;   // steps of a pass over the data, where an epoch has a number of its own; 0: the same
  int64_t batch_size = 0;       // samples a step
  int64_t shards = 1;           // parts of a batch that are computed each by itself, see Recipe::step_shards
  std::string unit = "images";  // of throughput: "images", "pairs", "tokens"
  int64_t units_per_sample = 1;
  std::function<double(double)> lr = {}, weight_decay = {};
  int64_t eval_every = 1;        // epochs; the last epoch is always evaluated
  int64_t patience = 0;          // epochs without a better score after which the run ends; 0: it trains to its end
  int64_t checkpoint_every = 0;  // steps, in addition to the end of each epoch; 0: only there
  int64_t log_every = 10;        // steps
  /// Numbers of an evaluation ("knn_top1") that must not fall: they are measured before the first step too, and a
  /// message says when one is lower. Then best.h5 is the model before the first step until a score is higher. Empty:
  /// no such evaluation.
  std::vector<std::string> not_below_start = {};

  /// The place in the data where a step begins, and the passes over the data that the run needs.
  data::LoaderState data_at(int64_t step) const;
  int64_t passes() const;
  /// Units of throughput in one step: images, pairs or tokens.
  int64_t units_per_step() const { return batch_size * units_per_sample; }
};

struct Evaluation {
  Stats stats;                  // "loss", "top1", ...; accuracies as fractions
  std::optional<double> score;  // higher is better; the highest so far becomes best.h5. Without a score there is none
};

/// Size and cost of one network, for --dry-run.
struct ModelCard {
  std::string name;   // "student"; empty if the method has one network
  std::string table;  // its layers, as nn::to_table writes them; may be empty
  int64_t parameters = 0;
  int64_t flops = 0;  // of one forward of one sample, 2 for each multiply-accumulate; 0: unknown
  std::string sample = "an image";
};
/// "27,690 parameters", or "27,690 parameters, 650 of them trained" if some are frozen.
std::string parameters_text(const nn::ModuleBase& network);
/// As --dry-run and `vitrail summary` print it.
std::string to_text(const ModelCard& card);

/// A training method. A step's result depends on its arguments and on state(), on nothing else.
///
/// A method must write plan, load and step, and call keep() for each network, optimizer and average that it trains.
class Recipe {
 public:
  Recipe() = default;
  virtual ~Recipe() = default;
  Recipe(const Recipe&) = delete;
  Recipe& operator=(const Recipe&) = delete;

  /// The length of the run and its schedules.
  virtual const Plan& plan() const = 0;
  /// Training batches from `start` to the end of the run (plan().passes()), each of plan().batch_size samples.
  virtual std::unique_ptr<data::Loader> load(const data::LoaderState& start) = 0;
  /// One update. The first number returned is the loss.
  /// Throws NumericError, with the weights unchanged, if the loss or a gradient is not finite (see optim::Update).
  virtual Stats step(const data::Batch& batch, const At& at) = 0;
  /// The same on those shards of the batch that this rank has, at.shards. The numbers and the new weights do not depend
  /// on the number of ranks. By default a step has one shard, and several are refused: a method that overrides it
  /// (with Update::backward) trains in shards and over ranks, and its step() hands on its batch.
  virtual Stats step_shards(std::span<const data::Batch> shards, const At& at);

  /// Runs before the first step of a new run; a resumed run skips it. Loads initial weights. Returns messages for the
  /// log.
  virtual std::vector<std::string> begin() { return {}; }
  /// Evaluates the networks as they are. By default there is nothing to evaluate.
  virtual Evaluation evaluate(const Tick&) { return {}; }
  /// Lines about the data and the networks, for the start of a run: what was read, how large a model is. By default the
  /// parameters of the networks given to keep().
  virtual std::vector<std::string> headline() const;
  /// The name of Evaluation::score, for messages: "top1".
  virtual std::string score_name() const { return "score"; }
  /// Commands that use the finished run in this folder, for the user.
  virtual std::vector<std::string> next_commands(const std::string& /*run*/) const { return {}; }
  /// Bytes of state() once every parameter has been updated. By default those of all that was given to keep().
  virtual int64_t state_bytes() const;
  /// One card for each network. By default the networks given to keep(), with the number of their parameters.
  virtual std::vector<ModelCard> cards();
  /// Everything that steps change: weights, moments, averages. Shares elements with them. By default all that was given
  /// to keep().
  virtual TensorMap state() const;
  /// Copies a state() back. Throws IoError, ConfigError or ShapeError if a part lacks a name, has an unknown one, or
  /// differs in shape.
  virtual void load_state(const TensorMap& state);
  /// Names of the classes that the trained network tells apart, by output. By default it is no classifier.
  virtual std::vector<std::string> classes() const { return {}; }
  /// Warnings for the user since the last call, each with a remedy. By default those given to say().
  virtual std::vector<std::string> take_messages() { return std::exchange(messages_, {}); }

 protected:
  /// Makes a part of the method a part of state(), under "name/..." (a tensor: under "name"). Call it in the
  /// constructor; the part lives as long as the recipe.
  void keep(const std::string& name, nn::ModuleBase& network);
  void keep(const std::string& name, optim::Optimizer& optimizer);
  void keep(const std::string& name, optim::ModelEma& average);
  void keep(const std::string& name, std::map<std::string, double>& numbers);
  void keep(const std::string& name, Tensor& tensor);
  /// A message for take_messages().
  void say(std::string message) { messages_.push_back(std::move(message)); }

 private:
  struct Part {
    std::function<TensorMap()> state;  // with the full names
    std::function<void(const TensorMap&)> load;
  };
  template <class T>
  void keep_named(const std::string& name, T& part);

  std::vector<Part> parts_;
  std::vector<std::pair<std::string, nn::ModuleBase*>> networks_;
  std::vector<const optim::Optimizer*> optimizers_;
  std::vector<std::string> messages_;
};

/// The shards of the next step that this rank has; empty if the loader has ended.
std::vector<data::Batch> next_step(data::Loader& loader, const Shards& shards);

/// Training images as the network sees them, for `vitrail preview`.
struct Preview {
  std::vector<data::Image> images;
  std::vector<std::string> captions;  // one for each image: its class, its view or its text
};

/// The keys of a recipe file with their defaults, and the Recipe that they build. Each method derives one. The members
/// here are the keys that all methods share.
struct RecipeConfig {
  std::string recipe;  // name of the method
  std::string name;
  std::string out;
  int64_t seed = 0;
  DType precision = DType::f32;  // of matrix products in steps and evaluations

  virtual ~RecipeConfig() = default;
  /// Describes every key. An override calls this one first.
  virtual void describe(Fields& fields);
  /// Replaces values that stand for others, such as model.arch: from_init, once config has read a recipe into this
  /// object. Returns messages for the log. By default there are none.
  virtual std::vector<std::string> settle(Config& /*config*/) { return {}; }
  /// Opens the data and builds the networks.
  /// Throws ConfigError for values that do not fit together, DataError or IoError for data.
  virtual std::unique_ptr<Recipe> build() const = 0;

  /// The parts of a recipe that programs need in order to show its images to a network.
  struct Sections {
    const DataConfig& data;
    int64_t batch_size;
    bool labelled = true;  // the network classifies the classes of the data
  };
  /// Throws ConfigError unless the method overrides it: then only `train` can use the method's recipes.
  virtual Sections sections() const;
  /// Builds the trained network from Recipe::state() and gives it to opened: see open_backbone in models/open_model.h.
  /// Throws ConfigError unless the method overrides it: then only `train` can use the method's checkpoints.
  virtual void open(const TensorMap& state, OpenModel& opened) const;
  /// The adapters of a recipe with LoRA, and the path of the weights that they change; null: it trains no adapters.
  struct Adapters {
    const LoraSection* lora = nullptr;
    std::string base = {};
  };
  virtual Adapters adapters() const { return {}; }
  /// The network that turns images into features, with a classifier for num_classes classes (0: none). A method whose
  /// network always ends in something else ignores num_classes. Throws ConfigError unless overridden.
  virtual std::unique_ptr<nn::Backbone> build_backbone(const nn::Scope& scope, int64_t num_classes) const;
  /// About `count` training images of the first steps. Throws ConfigError unless overridden.
  virtual Preview preview(int64_t count) const;

 protected:
  /// Throws ConfigError: this method does not offer `what`.
  [[noreturn]] void unsupported(std::string_view what) const;
};

/// The keys `seed` and `precision`.
void describe_computing(Fields& f, int64_t& seed, DType& precision);

}  // namespace vitrail::recipes
