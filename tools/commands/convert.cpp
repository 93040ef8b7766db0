// vitrail convert: brings weights from one layout to another.
#include "tools/commands/commands.h"
#include "tools/commands/model_text.h"
#include "vitrail/core/error.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/methods/clip_model.h"
#include "vitrail/recipes/models/trained_model.h"
#include "vitrail/recipes/models/write_model.h"

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

PublishedModel clip_to_publish(const TrainedClip& trained) {
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

/// The model of one of our runs.
PublishedModel run_to_publish(const std::string& path) {
  OpenedRun run = open_run(path);
  if (dynamic_cast<const ClipConfig*>(run.settings.get()) != nullptr) return clip_to_publish(to_clip(std::move(run)));
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
  if (!published_weights(o.in)) return run_to_publish(o.in);
  PublishedOptions options{.layout = nullptr, .unwritten = o.unwritten};
  if (!o.from.empty()) options.layout = &nn::layout_named(o.from);
  PublishedModel model = read_published_model(o.in, options);
  // Fails before anything is written if the weights do not fit the model.
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
  std::string names = "hf";
  for (const nn::Layout* layout : nn::layouts()) names += ", " + std::string(layout->name);
  return names;
}

}  // namespace

void add_convert(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command =
      program.command("convert", "Converts weights to the names and shapes that another program loads.");
  command.option("in", o->in, ".safetensors file, folder of a published model, checkpoint, or folder of a run")
      .required();
  command.option("-o,--out", o->out, "folder (hf, open_clip) or file.safetensors to write").required();
  command.option("--layout", o->layout, layout_names());
  command.option("--from", o->from, "layout of the input, if its names fit several");
  command
      .option("--heads", o->unwritten.num_heads, "attention heads, if the input does not say and a head is not 64 wide")
      .range(1, 1024);
  command.option("--text-heads", o->unwritten.text_num_heads, "attention heads of CLIP's text tower").range(1, 1024);
  command.option("--eps", o->unwritten.ln_eps, "epsilon of the norms, if not the layout's default").fraction();
  command.example("vitrail convert dinov2_vitb14.safetensors --layout hf -o dinov2-base/");
  command.action([o] { convert(*o); });
}

}  // namespace vitrail::tools
