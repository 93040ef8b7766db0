// vitrail convert: weights from one layout to another.
#include "tools/commands/commands.h"
#include "tools/commands/model_text.h"
#include "vitrail/core/error.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/methods/clip_model.h"
#include "vitrail/recipes/models/trained_model.h"
#include "vitrail/recipes/models/write_model.h"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace vitrail::tools {
namespace {

using namespace recipes;

struct Options {
  std::string in, out, from, layout = "hf";
  nn::Unwritten unwritten;
};

PublishedModel of_clip(const TrainedClip& trained) {
  const ClipConfig& settings = *trained.settings;
  PublishedModel model;
  model.source = trained.checkpoint;
  model.layout = &nn::layout_named("open_clip");
  const data::Vocabulary& vocabulary = trained.tokenizer.vocabulary();
  model.vocabulary = [vocabulary] { return vocabulary; };
  model.architecture = clip_config(settings.clip(), settings.data.img_size, vocabulary.size());
  model.weights = nn::state(*trained.model);
  model.preprocessing = recipe_preprocessing(settings.data);
  return model;
}

/// The model of a run of ours.
PublishedModel of_run(const std::string& path) {
  OpenedRun run = open_run(path);
  if (dynamic_cast<const ClipConfig*>(run.settings.get()) != nullptr) return of_clip(to_clip(std::move(run)));
  const TrainedModel trained = to_model(std::move(run));
  const nn::VisionTransformer* const vit = nn::find_vit(*trained.model);
  check<ConfigError>(vit, "convert",
                     "{} is a ResNet; layouts are for vision transformers, vitrail export writes its weights",
                     trained.checkpoint.string());
  PublishedModel model;
  model.source = trained.checkpoint;
  model.layout = &nn::layout_named("timm");
  model.architecture = vit->config;
  model.weights = nn::state(*vit);
  model.preprocessing = recipe_preprocessing(trained.settings->sections().data);
  if (trained.averaged) model.notes.emplace_back("the run's averaged weights are taken");
  return model;
}

PublishedModel read(const Options& o) {
  if (!published_weights(o.in)) return of_run(o.in);
  PublishedOptions options{.layout = nullptr, .unwritten = o.unwritten};
  if (!o.from.empty()) options.layout = &nn::layout_named(o.from);
  PublishedModel model = read_published_model(o.in, options);
  // Nothing is written of weights that do not fit their own model.
  if (model.is_clip())
    build_clip(model);
  else
    build_vit(model);
  return model;
}

void convert(const Options& o) {
  const PublishedModel model = read(o);
  std::printf("%s, in the layout of %s\n%s\n", model.source.c_str(), std::string(model.layout->title).c_str(),
              describe(model).c_str());
  for (const std::string& note : model.notes) std::printf("note: %s\n", note.c_str());
  print_written(write_model(model, o.layout, o.out));
}

std::string layout_names() {
  std::string names;
  for (const nn::Layout* layout : nn::layouts()) names += ", " + std::string(layout->name);
  return names;
}

}  // namespace

void add_convert(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "convert", "Brings weights to the names and shapes that another program loads, and says what it did.");
  command->add_option("in", o->in, "safetensors, folder of a published model, checkpoint or run")->required();
  command->add_option("-o,--out", o->out, "folder (hf, open_clip) or file.safetensors to write")->required();
  command->add_option("--layout", o->layout, "hf" + layout_names())->capture_default_str();
  command->add_option("--from", o->from, "layout of the input, if its names leave a choice");
  command
      ->add_option("--heads", o->unwritten.num_heads, "attention heads, if nothing says them and they are not 64 wide")
      ->check(CLI::Range(1, 1024));
  command->add_option("--text-heads", o->unwritten.text_num_heads, "the same of a CLIP's text tower")
      ->check(CLI::Range(1, 1024));
  command->add_option("--eps", o->unwritten.ln_eps, "epsilon of the norms, if it is not the layout's")
      ->check(CLI::Range(0.0, 1.0));
  command->footer("Example: vitrail convert dinov2_vitb14.safetensors --layout hf -o dinov2-base/");
  command->callback([o] { convert(*o); });
}

}  // namespace vitrail::tools
