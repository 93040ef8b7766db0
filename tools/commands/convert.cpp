// vitrail convert: brings weights from one layout to another.
#include "tools/commands/commands.h"
#include "tools/commands/model_notes.h"
#include "tools/commands/model_text.h"
#include "tools/commands/published_arguments.h"
#include "vitrail/core/error.h"
#include "vitrail/recipes/methods/llava_folder.h"
#include "vitrail/recipes/models/language_model.h"
#include "vitrail/recipes/models/llava_model.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/peft_adapter.h"
#include "vitrail/recipes/models/write_model.h"

#include <cstdio>
#include <memory>
#include <optional>
#include <string>

namespace vitrail::tools {
namespace {

using namespace recipes;

struct Options {
  std::string in, out, from, network, layout = "hf", tower;
  bool adapter = false;
  int64_t transformers = 5;
  nn::Unwritten unwritten;
  PublishedArguments published;
};

PublishedModel read(const Options& o) {
  PublishedOptions options = o.published.options(o.network);
  if (!published_weights(o.in)) return to_published(open_model(o.in, {}, options));
  options.unwritten = o.unwritten;
  if (!o.from.empty()) options.layout = &nn::layout_named(o.from);
  PublishedModel model = read_published_model(o.in, options);
  open_model(model);  // fails before anything is written if the weights do not fit the model
  return model;
}

/// Throws ConfigError for an option that language models do not have.
void expect_hf(const Options& o) {
  check<ConfigError>(o.layout == "hf" && o.from.empty(), "convert",
                     "{} is a language model; it is written as a folder, --layout hf alone", o.in);
}

void convert_adapter(const Options& o) {
  const auto names = o.transformers == 4 ? nn::NamesOf::files : nn::NamesOf::modules;
  if (is_llava_run(o.in)) {
    expect_hf(o);
    return print_written(write_llava_adapter(open_llava_run(o.in), o.out, names));
  }
  print_written(write_adapter(open_model(o.in, {}, o.published.options(o.network)), o.layout, o.out, names));
}

/// Writes a language model, which has one layout, as a folder for transformers.
void convert_language_model(const Options& o) {
  const LanguageModel model =
      open_language_model(o.in, {.accept_keys = o.published.accept_keys, .base = o.published.base});
  print_notes(o.in, model.notes);
  print_written({.files = write_language_model(model, o.out), .notes = {}});
}

/// The same for one that sees.
void convert_llava(const Options& o) {
  LlavaOptions options;
  options.accept_keys = o.published.accept_keys;
  options.tower = o.tower;
  options.base = o.published.base;
  const LlavaModel model = open_llava(o.in, options);
  print_notes(o.in, model.notes);
  print_written({.files = write_llava(model, o.out), .notes = {}});
}

void convert(const Options& o) {
  if (o.adapter) return convert_adapter(o);
  if (is_llava_run(o.in)) {
    expect_hf(o);
    return print_written(write_llava_run(open_llava_run(o.in), o.out));
  }
  const bool sees = is_llava(o.in, o.published.base);
  check<ConfigError>(sees || o.tower.empty(), "convert", "{}: --tower is for language models that see", o.in);
  if (sees || is_language_model(o.in, o.published.base)) {
    expect_hf(o);
    return sees ? convert_llava(o) : convert_language_model(o);
  }
  const PublishedModel model = read(o);
  std::printf("%s, in the layout of %s\n%s\n", model.source.c_str(), std::string(model.layout->title).c_str(),
              describe(model).c_str());
  print_notes(o.in, model.notes);
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
  const Option adapter = command.flag("--adapter", o->adapter,
                                      "write the adapter of a run with LoRA alone, as a folder of Hugging Face PEFT");
  command
      .option("--transformers", o->transformers,
              "with --adapter: version of transformers that will load it; 5 renamed the modules of ViT and Dinov2")
      .range(4, 5)
      .needs(adapter);
  command.option("--from", o->from, "layout of the input, if its names fit several");
  add_network_option(command, o->network);
  command
      .option("--heads", o->unwritten.num_heads, "attention heads, if the input does not say and a head is not 64 wide")
      .range(1, 1024);
  command.option("--text-heads", o->unwritten.text_num_heads, "attention heads of CLIP's text tower").range(1, 1024);
  command.option("--eps", o->unwritten.ln_eps, "epsilon of the norms, if not the layout's default").fraction();
  command.option("--tower", o->tower, "folder of the image tower, for folders of LLaVA's own program that lack it");
  o->published.add_to(command);
  command.example("vitrail convert dinov2_vitb14.safetensors --layout hf -o dinov2-base/");
  command.example("vitrail convert runs/lora --adapter -o adapter/");
  command.example("vitrail convert runs/llava -o llava/");
  command.action([o] { convert(*o); });
}

}  // namespace vitrail::tools
