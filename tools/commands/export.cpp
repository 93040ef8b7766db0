// vitrail export: writes the weights of a checkpoint for other programs.
#include "tools/commands/commands.h"
#include "tools/commands/model_notes.h"
#include "tools/commands/published_arguments.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/models/model_family.h"
#include "vitrail/recipes/models/model_metadata.h"
#include "vitrail/recipes/models/open_model.h"

#include <cstdio>
#include <memory>
#include <string>

namespace vitrail::tools {
namespace {

struct Options {
  std::string checkpoint, network, out;
  PublishedArguments published;
};

void export_weights(const Options& o) {
  const recipes::OpenModel model = open_with_notes(o.checkpoint, {}, o.published.options(o.network));
  const TensorMap weights = nn::state(*model.backbone);
  const nn::Unwritten unwritten = model.architecture ? model.architecture->unwritten() : nn::Unwritten();
  safetensors::save(o.out, weights, recipes::to_metadata(unwritten, model.classes));
  std::printf("%s: %zu tensors, %lld parameters, of %s%s\n", o.out.c_str(), weights.size(),
              static_cast<long long>(model.backbone->parameter_count()), model.source.c_str(),
              model.averaged ? " (averaged weights)" : "");
}

}  // namespace

void add_export(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command = program.command(
      "export",
      "Writes the weights of a checkpoint as safetensors, under timm's names, with the names of its classes.");
  command
      .option("checkpoint", o->checkpoint,
              "checkpoint or folder of a run; or a published model, whose names become timm's")
      .required();
  command.option("-o,--out", o->out, "file to write").required();
  add_network_option(command, o->network);
  o->published.add_to(command);
  command.example("vitrail export runs/vit_digits-2025-01-31-1 -o digits.safetensors");
  command.action([o] { export_weights(*o); });
}

}  // namespace vitrail::tools
