#include "vitrail/recipes/run/recipe.h"

#include "vitrail/core/error.h"
#include "vitrail/nn/backbone.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/optim/ema.h"
#include "vitrail/recipes/config/fields.h"
#include "vitrail/recipes/run/progress.h"
#include "vitrail/recipes/run/registry.h"

#include <fmt/format.h>

namespace vitrail::recipes {
namespace {

TensorMap state_of(const nn::ModuleBase& network) { return nn::state(network); }
void load_into(nn::ModuleBase& network, const TensorMap& map) { nn::load_state(network, map, "checkpoint"); }

TensorMap state_of(const optim::Optimizer& optimizer) { return optimizer.state(); }
void load_into(optim::Optimizer& optimizer, const TensorMap& map) { optimizer.load_state(map); }

TensorMap state_of(const optim::ModelEma& average) { return average.state(); }
void load_into(optim::ModelEma& average, const TensorMap& map) { average.load_state(map); }

TensorMap state_of(const std::map<std::string, double>& numbers) {
  TensorMap map;
  for (const auto& [name, value] : numbers) map.emplace(name, scalar(value, DType::f64));
  return map;
}
void load_into(std::map<std::string, double>& numbers, const TensorMap& map) {
  numbers.clear();
  for (const auto& [name, value] : map) numbers.emplace(name, value.item());
}

}  // namespace

data::LoaderState Plan::data_at(int64_t step) const {
  const int64_t in_pass = steps_per_pass > 0 ? steps_per_pass : steps_per_epoch;
  return {step / in_pass, step % in_pass * batch_size};
}

int64_t Plan::passes() const {
  const int64_t in_pass = steps_per_pass > 0 ? steps_per_pass : steps_per_epoch;
  return (epochs * steps_per_epoch + in_pass - 1) / in_pass;
}

Stats Recipe::step_shards(std::span<const data::Batch> shards, const At& at) {
  check<ConfigError>(at.shards.all == 1 && shards.size() == 1, "train.shards",
                     "is {}: this method trains on whole batches, in one process", at.shards.all);
  return step(shards.front(), at);
}

std::vector<data::Batch> next_step(data::Loader& loader, const Shards& shards) {
  std::vector<data::Batch> step;
  while (int64_t(step.size()) < shards.count) {
    std::optional<data::Batch> batch = loader.next();
    if (!batch) return {};
    step.push_back(*std::move(batch));
  }
  return step;
}

template <class T>
void Recipe::keep_named(const std::string& name, T& part) {
  const auto state = [name, &part] {
    TensorMap map;
    add_map(map, name, state_of(part));
    return map;
  };
  parts_.push_back({state, [name, &part](const TensorMap& map) { load_into(part, sub_map(map, name)); }});
}

void Recipe::keep(const std::string& name, nn::ModuleBase& network) {
  networks_.emplace_back(name, &network);
  keep_named(name, network);
}

void Recipe::keep(const std::string& name, optim::Optimizer& optimizer) {
  optimizers_.push_back(&optimizer);
  keep_named(name, optimizer);
}

void Recipe::keep(const std::string& name, optim::ModelEma& average) { keep_named(name, average); }
void Recipe::keep(const std::string& name, std::map<std::string, double>& numbers) { keep_named(name, numbers); }

void Recipe::keep(const std::string& name, Tensor& tensor) {
  const auto load = [name, &tensor](const TensorMap& map) {
    const auto found = map.find(name);
    check<IoError>(found != map.end(), "checkpoint", "recipe/{} is missing", name);
    tensor.copy_(found->second);
  };
  parts_.push_back({[name, &tensor] { return TensorMap{{name, tensor}}; }, load});
}

std::string parameters_text(const nn::ModuleBase& network) {
  int64_t all = 0, trained = 0;
  for (const ag::Parameter* p : network.parameters()) {
    all += p->value().numel();
    if (p->requires_grad()) trained += p->value().numel();
  }
  return count_text(all) + " parameters" + (trained < all ? ", " + count_text(trained) + " of them trained" : "");
}

std::string to_text(const ModelCard& card) {
  std::string text;
  if (!card.name.empty()) text += card.name + "\n";
  if (!card.table.empty()) text += card.table + "\n";
  text += fmt::format("parameters      {}\n", card.parameters);
  if (card.flops > 0)
    text +=
        fmt::format("FLOPs {:<9} {:.4g} forward (2 for each multiply-accumulate)\n", card.sample, double(card.flops));
  return text;
}

std::vector<std::string> Recipe::headline() const {
  std::vector<std::string> lines;
  for (const auto& [name, network] : networks_) lines.push_back(name + ": " + parameters_text(*network));
  return lines;
}

int64_t Recipe::state_bytes() const {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : state()) bytes += tensor.nbytes();
  for (const optim::Optimizer* optimizer : optimizers_) bytes += optimizer->missing_bytes();
  return bytes;
}

std::vector<ModelCard> Recipe::cards() {
  std::vector<ModelCard> cards;
  for (const auto& [name, network] : networks_)
    cards.push_back({.name = name, .table = {}, .parameters = network->parameter_count()});
  return cards;
}

TensorMap Recipe::state() const {
  TensorMap map;
  for (const Part& part : parts_) map.merge(part.state());
  return map;
}

void Recipe::load_state(const TensorMap& state) {
  for (const Part& part : parts_) part.load(state);
}

void describe_computing(Fields& f, int64_t& seed, DType& precision) {
  static constexpr Named<DType> kPrecisions[] = {{"f32", DType::f32}, {"bf16", DType::bf16}};
  f("seed", seed, "seed of all random numbers", at_least(0));
  f("precision", precision, "type of matrix products", kPrecisions);
}

void RecipeConfig::describe(Fields& f) {
  f("recipe", recipe, "training method", one_of(methods()));
  f("name", name, "name of the run; empty: the name of the recipe file");
  f("out", out, "folder of the run; empty: runs/<name>-<date>-<n>");
  describe_computing(f, seed, precision);
}

RecipeConfig::Sections RecipeConfig::sections() const { unsupported("images for other commands"); }

void RecipeConfig::open(const TensorMap&, OpenModel&) const { unsupported("a trained network for other commands"); }

std::unique_ptr<nn::Backbone> RecipeConfig::build_backbone(const nn::Scope&, int64_t) const {
  unsupported("a network of image features");
}

Preview RecipeConfig::preview(int64_t) const { unsupported("a preview"); }

void RecipeConfig::unsupported(std::string_view what) const {
  fail<ConfigError>("recipe", "the method '{}' does not offer {}", recipe, what);
}

}  // namespace vitrail::recipes
