// vitrail features: writes the features of images to a file.
#include "tools/commands/commands.h"
#include "tools/commands/feature_arguments.h"
#include "tools/json_text.h"
#include "vitrail/recipes/eval/feature_file.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <memory>
#include <string>

namespace vitrail::tools {
namespace {

using namespace recipes;

struct Options {
  FeatureArguments arguments;
  std::string out;
  bool normalise = false, json = false;
};

void features(const Options& o) {
  check_feature_file(o.out);
  const NamedImages images = o.arguments.named_images();
  const OpenModel model = o.arguments.open();
  TerminalProgress progress;
  const ImageFeatures found = features_of(model, images, o.arguments, o.normalise, progress);
  const std::string source = std::filesystem::absolute(o.arguments.model).string();
  write_features(o.out, {found.names, found.features, source});
  if (o.json) {
    const nlohmann::ordered_json result = {{"file", o.out},
                                           {"model", source},
                                           {"pictures", found.names},
                                           {"skipped", found.skipped},
                                           {"numbers", found.features.size(1)},
                                           {"preprocessing", model.preprocessing.text()}};
    fmt::print("{}\n", json_text(result));
    return;
  }
  const std::string skipped = found.skipped > 0 ? fmt::format(" ({} skipped)", found.skipped) : "";
  fmt::print("{}: {} images{}, {} numbers each ({})\n", o.out, found.names.size(), skipped, found.features.size(1),
             model.preprocessing.text());
}

}  // namespace

void add_features(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command =
      program.command("features", "Writes the features of images as HDF5 (the index of vitrail search), NPY or CSV.");
  o->arguments.add_to(command);
  command.option("-o,--out", o->out, "file.h5, file.npy (with names in file.txt) or file.csv").required();
  command.flag("--normalize", o->normalise, "scale each feature vector to length 1");
  command.flag("--json", o->json, "print one JSON object about the file");
  command.example("vitrail features --model dinov2-base/ photos/ -o photos.h5");
  command.action([o] { features(*o); });
}

}  // namespace vitrail::tools
