// vitrail features: what a model makes of images, as numbers.
#include "tools/commands/commands.h"
#include "tools/commands/image_list.h"
#include "vitrail/recipes/eval/feature_file.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>

namespace vitrail::tools {
namespace {

using namespace recipes;

struct Options {
  FeatureArguments arguments;
  std::string out;
  bool normalise = false;
};

void features(const Options& o) {
  check_feature_file(o.out);
  const NamedImages images = o.arguments.named_images();
  const OpenModel model = o.arguments.open();
  TerminalProgress progress;
  const NamedFeatures result{images.names, features_of(model, *images.dataset, o.arguments, o.normalise, progress),
                             std::filesystem::absolute(o.arguments.model).string()};
  write_features(o.out, result);
  fmt::print("{}: {} images, {} numbers each ({})\n", o.out, result.names.size(), result.features.size(1),
             model.preprocessing.text());
}

}  // namespace

void add_features(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "features", "Writes the features of images: HDF5, which vitrail search takes as its index, NPY or CSV.");
  o->arguments.add_to(*command);
  command->add_option("-o,--out", o->out, "file.h5, file.npy (names in file.txt) or file.csv")->required();
  command->add_flag("--normalize", o->normalise, "bring each to length 1");
  command->footer("Example: vitrail features --model dinov2-base/ photos/ -o photos.h5");
  command->callback([o] { features(*o); });
}

}  // namespace vitrail::tools
