// vitrail convert: brings weights from one layout to another.
#include "tools/commands/commands.h"
#include "tools/commands/model_notes.h"
#include "tools/commands/model_text.h"
#include "tools/commands/published_arguments.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/write_model.h"

#include <cstdio>
#include <memory>
#include <optional>
#include <string>

namespace vitrail::tools {
namespace {

using namespace recipes;

struct Options {
  std::string in, out, from, network, layout = "hf";
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

void convert(const Options& o) {
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
  command.option("--from", o->from, "layout of the input, if its names fit several");
  add_network_option(command, o->network);
  command
      .option("--heads", o->unwritten.num_heads, "attention heads, if the input does not say and a head is not 64 wide")
      .range(1, 1024);
  command.option("--text-heads", o->unwritten.text_num_heads, "attention heads of CLIP's text tower").range(1, 1024);
  command.option("--eps", o->unwritten.ln_eps, "epsilon of the norms, if not the layout's default").fraction();
  o->published.add_to(command);
  command.example("vitrail convert dinov2_vitb14.safetensors --layout hf -o dinov2-base/");
  command.action([o] { convert(*o); });
}

}  // namespace vitrail::tools
