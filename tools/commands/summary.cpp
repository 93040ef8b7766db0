// vitrail summary: the layers of a model and its cost.
#include "tools/commands/commands.h"
#include "tools/commands/model_notes.h"
#include "tools/commands/published_arguments.h"
#include "vitrail/core/error.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/build/build_model.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/config/suggest.h"
#include "vitrail/recipes/models/model_card.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/open_run.h"
#include "vitrail/recipes/run/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

namespace fs = std::filesystem;
using namespace recipes;

struct Options {
  std::string model, network;
  std::vector<std::string> changes;
  std::optional<int64_t> classes;
  PublishedArguments published;
};

/// The defaults of the supervised method, with a published architecture.
std::unique_ptr<RecipeConfig> settings_of_architecture(const Options& o) {
  const std::vector<std::string> known = architectures();
  check<ConfigError>(std::find(known.begin(), known.end(), o.model) != known.end(), "summary",
                     "'{}' is neither a file nor a published model{}; published models: {}", o.model,
                     did_you_mean(o.model, known), fmt::join(known, ", "));
  auto settings = method_config("supervised");
  Config config(*settings);
  config.set("model.arch=" + o.model);
  for (const std::string& change : o.changes) config.set(change);
  return settings;
}

ModelCard card_of_settings(const RecipeConfig& settings, int64_t classes) {
  return model_card(*settings.build_backbone(nn::Scope().without_values(), classes), settings.sections().data.img_size);
}

ModelCard card_of(const Options& o) {
  const fs::path path = o.model;
  const bool is_recipe = path.extension() == ".yaml" || path.extension() == ".yml";
  if (!fs::exists(path) && !is_recipe && path.extension() != ".h5") {
    constexpr int64_t kImageNetClasses = 1000;
    return card_of_settings(*settings_of_architecture(o), o.classes.value_or(kImageNetClasses));
  }
  if (!is_recipe) {
    const OpenModel model = open_with_notes(o.model, o.changes, o.published.options(o.network));
    return model_card(*model.backbone, model.preprocessing.img_size());
  }
  const auto settings = read_settings(path, o.changes);
  if (o.classes) return card_of_settings(*settings, *o.classes);
  const RecipeConfig::Sections sections = settings->sections();
  if (!sections.labelled) return card_of_settings(*settings, 0);
  const DataConfig& data = sections.data;
  return card_of_settings(*settings, int64_t(open_labelled(data, data.train_split)->classes().size()));
}

void summary(const Options& o) { std::fputs(to_text(card_of(o)).c_str(), stdout); }

}  // namespace

void add_summary(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command =
      program.command("summary", "Prints a model layer by layer: output shape, parameters and cost per image.");
  command
      .option("--arch,model", o->model,
              "architecture (vit_small), recipe file, folder of a run, checkpoint, folder of a published model, or "
              ".safetensors file")
      .required();
  command.option("changes", o->changes, "key=value, overrides the recipe");
  add_network_option(command, o->network);
  command.option("--classes", o->classes, "outputs of the classifier, overrides the number of classes in the data")
      .range(1, 1 << 24);
  o->published.add_to(command);
  command.example("vitrail summary vit_small data.img_size=384");
  command.action([o] { summary(*o); });
}

}  // namespace vitrail::tools
