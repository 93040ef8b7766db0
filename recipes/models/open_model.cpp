#include "vitrail/recipes/models/open_model.h"

#include "vitrail/core/error.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/models/open_run.h"
#include "vitrail/recipes/models/vit_family.h"

#include <utility>

namespace vitrail::recipes {
namespace {

EvalSettings settings_of_published(const Preprocessing& preprocessing, const std::vector<std::string>& changes) {
  EvalSettings settings;
  settings.data.img_size = preprocessing.img_size();
  settings.data.mean.assign(preprocessing.mean.begin(), preprocessing.mean.end());
  settings.data.std.assign(preprocessing.std.begin(), preprocessing.std.end());
  Config config(settings);
  for (const std::string& change : changes) config.set(change);
  return settings;
}

EvalSettings settings_of_run(const RecipeConfig& run) {
  const RecipeConfig::Sections sections = run.sections();
  return {sections.data, sections.batch_size, run.seed, run.precision};
}

bool any_name_begins(const TensorMap& tensors, const std::string& beginning) {
  const auto found = tensors.lower_bound(beginning);
  return found != tensors.end() && found->first.starts_with(beginning);
}

/// The number of classes of the classifier: `head` in a vision transformer, `fc` in a ResNet. 0 without a classifier.
int64_t classes_in(const TensorMap& weights) {
  for (const char* name : {"head.weight", "fc.weight"})
    if (const auto found = weights.find(name); found != weights.end()) return found->second.size(0);
  return 0;
}

/// Leaves one of the networks of a run of DINO in its state.
void select_network(TensorMap& state, const std::string& network, const std::string& source) {
  const std::string kept = network + "/";
  check<ConfigError>(any_name_begins(state, "teacher/") && any_name_begins(state, kept), "checkpoint",
                     "{} has no network '{}' to choose; a run of DINO has a teacher and a student", source, network);
  for (const std::string other : {"teacher/", "student/"})
    if (other != kept) std::erase_if(state, [&](const auto& item) { return item.first.starts_with(other); });
}

}  // namespace

void EvalSettings::describe(Fields& f) {
  describe_computing(f, seed, precision);
  f("batch_size", batch_size, "images at a time", at_least(1));
  f.section("data", [&] {  // no preprocessing keys: the published model fixes them
    data.describe_source(f);
    data.describe_augmentation(f);
    data.describe_reading(f);
  });
}

OpenModel open_model(const std::filesystem::path& path, const std::vector<std::string>& changes,
                     const PublishedOptions& options) {
  if (published_weights(path)) return open_model(read_published_model(path, options), changes);
  OpenedRun run = open_run(path, changes);
  if (!options.network.empty()) select_network(run.state, options.network, run.checkpoint.string());
  const std::shared_ptr<const RecipeConfig> settings = std::move(run.settings);
  OpenModel opened;
  opened.source = run.checkpoint;
  opened.settings = settings;
  opened.eval = settings_of_run(*settings);
  opened.preprocessing = eval_preprocessing(opened.eval.data);
  opened.untrained = [settings] { return settings->build_backbone(nn::Scope(uint64_t(settings->seed)), 0); };
  settings->open(run.state, opened);
  if (opened.classify && opened.backbone->num_classes() == int64_t(run.classes.size())) opened.classes = run.classes;
  return opened;
}

OpenModel open_model(const PublishedModel& published, const std::vector<std::string>& changes) {
  const int64_t channels = published.architecture->vision().in_chans;
  check<IoError>(channels == 3, "load",
                 "{}: the model is for images of {} channels ('num_channels', timm's 'in_chans'); images here have "
                 "three: red, green, blue",
                 published.source.string(), channels);
  OpenModel opened;
  opened.source = published.source;
  opened.notes = published.notes;
  opened.preprocessing = published.preprocessing;
  opened.classes = published.classes;
  opened.eval = settings_of_published(published.preprocessing, changes);
  if (opened.eval.data.background) opened.preprocessing.background = background_of(opened.eval.data);
  opened.untrained = [architecture = published.architecture, seed = uint64_t(opened.eval.seed)] {
    return architecture->untrained(seed);
  };
  published.architecture->open(published, opened);
  return opened;
}

PublishedModel to_published(const OpenModel& model) {
  check<ConfigError>(
      model.architecture != nullptr, "convert",
      "{} is not a vision transformer or a CLIP: no layout has a place for it; vitrail export writes its "
      "weights",
      model.source.string());
  PublishedModel published;
  published.source = model.source;
  published.layout = &model.architecture->own_layout();
  published.architecture = model.architecture;
  published.weights = nn::state(*model.network);
  published.preprocessing = model.preprocessing;
  published.classes = model.classes;
  published.vocabulary = model.vocabulary;
  published.notes = model.notes;
  if (model.averaged) published.notes.emplace_back("the run's averaged weights are taken");
  return published;
}

data::ClassList class_list(const OpenModel& model) {
  return {.owner = model.source.string(),
          .names = model.classes,
          .count = model.backbone->num_classes(),
          .by_bytes = model.settings != nullptr};
}

MatchedData match_data(const OpenModel& model, std::unique_ptr<data::Dataset> images, std::string_view command) {
  const DataConfig& config = model.eval.data;
  const data::ClassList outputs = class_list(model), own{.owner = evaluated_name(config),
                                                         .names = images->classes(),
                                                         .count = int64_t(images->classes().size()),
                                                         .mapped = !config.classes.empty()};
  data::ClassMatch match = data::match_classes(command, own, outputs);
  std::vector<std::string> names = model.classes;
  if (names.empty())  // an output that no class of the data is has its number as a name
    for (int64_t i = 0; i < outputs.count; ++i) names.push_back(std::to_string(i));
  if (model.classes.empty())
    for (size_t i = 0; i < own.names.size(); ++i) names[size_t(match.to[i])] = own.names[i];
  if (match.same && names == own.names) return {std::move(images), std::move(match.note)};
  return {data::relabelled(std::move(images), std::move(match.to), std::move(names)), std::move(match.note)};
}

void expect_classes(const OpenModel& model, std::string_view command) {
  check<ConfigError>(model.classify != nullptr, command,
                     "{} has no classifier; evaluate its features with vitrail knn or vitrail linear; a CLIP "
                     "classifies with vitrail zero-shot",
                     model.source.string());
  check<ConfigError>(model.backbone->num_classes() > 1, command,
                     "{} has one output, which is no choice among classes: its share would always be 100%",
                     model.source.string());
}

void expect_tokens(const OpenModel& model, std::string_view command) {
  check<ConfigError>(model.tokens != nullptr, command, "{} has no patch tokens; a vision transformer has them",
                     model.source.string());
}

void expect_texts(const OpenModel& model, std::string_view command) {
  check<ConfigError>(model.text_features != nullptr, command,
                     "{} has no text tower, or no vocabulary (merges.txt or tokenizer.json) beside it; a CLIP with its "
                     "vocabulary reads texts",
                     model.source.string());
}

void set_backbone(OpenModel& opened, const std::shared_ptr<nn::Backbone>& backbone) {
  opened.network = opened.backbone = backbone;
  if (const nn::VisionTransformer* const vit = nn::find_vit(*backbone))
    opened.architecture = vit_architecture(vit->config);
  opened.image_features = [features = pooled_features(*backbone), backbone](const Tensor& x) { return features(x); };
  if (backbone->token_backbone())
    opened.tokens = [backbone](const Tensor& images) { return backbone->token_backbone()->tokens(images); };
  if (backbone->num_classes() > 0)
    opened.classify = [backbone](const Tensor& images) { return backbone->logits(images).value(); };
}

void open_backbone(OpenModel& opened, const RecipeConfig& settings, const TensorMap& state,
                   std::span<const KeptNetwork> kept) {
  const std::string source = opened.source.string();
  for (const KeptNetwork& k : kept) {
    TensorMap weights = without_prefix(state, k.prefix);
    if (weights.empty()) continue;
    if (!k.others.empty()) weights.merge(without_prefix(state, k.others));
    weights = merge_adapters(opened, settings, std::move(weights));
    std::shared_ptr<nn::Backbone> network = settings.build_backbone(nn::Scope().without_values(), classes_in(weights));
    nn::load_state(*network, weights, source);
    opened.averaged = k.averaged;
    set_backbone(opened, network);
    return;
  }
  fail<IoError>("checkpoint", "{} holds no model", source);
}

TensorMap merge_adapters(OpenModel& opened, const RecipeConfig& settings, TensorMap weights) {
  const auto [lora, base] = settings.adapters();
  if (!lora || !lora->on()) return weights;
  OpenAdapters adapters{.settings = *lora, .base = base, .weights = {}};
  for (const auto& [name, value] : weights)
    if (nn::is_lora(name)) adapters.weights.emplace(name, value);
  opened.adapters = std::move(adapters);
  return lora->merged(std::move(weights));
}

std::unique_ptr<data::Loader> eval_loader(const OpenModel& model, const data::Dataset& dataset,
                                          data::BadFiles& bad_files) {
  return eval_loader(model.preprocessing, model.eval.data, dataset, model.eval.batch_size, bad_files);
}

}  // namespace vitrail::recipes
