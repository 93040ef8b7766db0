#include "vitrail/recipes/run/train.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/parallel.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/config/suggest.h"
#include "vitrail/recipes/run/environment.h"
#include "vitrail/recipes/run/exit_code.h"
#include "vitrail/recipes/run/loop.h"
#include "vitrail/recipes/run/registry.h"
#include "vitrail/recipes/run/run_folder.h"
#include "vitrail/version.h"

#include <fmt/format.h>

#include <string_view>

namespace vitrail::recipes {
namespace {

constexpr int64_t kMaxRecipeBytes = 64 << 10;

/// A new folder with the files that are known before the first step, or the folder of the run to continue.
RunFolder open_folder(const TrainOptions& o, const RecipeConfig& settings, const std::string& resolved) {
  if (!o.resume.empty()) return RunFolder::open(o.resume);
  RunFolder folder = RunFolder::create(settings.out, settings.name);
  durable_write(folder.recipe(), read_file(o.recipe, kMaxRecipeBytes));
  durable_write(folder.environment(), environment_json(o.command));
  durable_write(folder.resolved(), resolved);  // last: a folder with it can be resumed
  return folder;
}

constexpr const char* kUsage =
    R"(Trains the model of a recipe: {0} recipe.yaml train.epochs=10
Usage: {0} [OPTIONS] [recipe] [changes...]

Positionals:
  recipe                      recipe file
  changes                     key=value, overrides the recipe

Options:
  --resume FOLDER             continue the run in this folder
  --dry-run                   print the model, its cost and the time of an epoch
  --print-config              print every value with its origin
  --plain                     print progress as lines, even on a terminal
  --version                   print the version and exit
  -h,--help                   this text; after a recipe, also its keys and defaults
)";

struct CommandLine {
  TrainOptions options;
  bool help = false, version = false;

  bool names_run() const { return !options.recipe.empty() || !options.resume.empty(); }
};

CommandLine parse(int argc, char** argv) {
  const std::vector<std::string> known = {"--resume", "--dry-run", "--print-config", "--plain", "--version", "--help"};
  CommandLine line;
  TrainOptions& o = line.options;
  std::vector<std::string> positionals;
  for (int i = 0; i < argc; ++i) o.command += (i > 0 ? " " : "") + std::string(argv[i]);
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "-h" || argument == "--help") {
      line.help = true;
      o.action = TrainAction::print_keys;
    } else if (argument == "--version") {
      line.version = true;
    } else if (argument == "--dry-run") {
      o.action = TrainAction::dry_run;
    } else if (argument == "--print-config") {
      o.action = TrainAction::print_config;
    } else if (argument == "--plain") {
      o.plain = true;
    } else if (argument.starts_with("--resume=")) {
      o.resume = argument.substr(argument.find('=') + 1);
    } else if (argument == "--resume") {
      check<ConfigError>(i + 1 < argc, "train", "--resume needs the folder of a run");
      o.resume = argv[++i];
    } else {
      check<ConfigError>(!argument.starts_with("-"), "train", "unknown option '{}'{}; --help lists all", argument,
                         did_you_mean(argument, known));
      positionals.emplace_back(argument);
    }
  }
  if (o.resume.empty() && !positionals.empty()) {
    o.recipe = positionals.front();
    positionals.erase(positionals.begin());
  }
  o.changes = std::move(positionals);
  return line;
}

int train(int argc, char** argv) {
  const CommandLine line = parse(argc, argv);
  if (line.version) return fmt::print("Vitrail " VITRAIL_VERSION "\n"), kDone;
  if (line.help || !line.names_run()) fmt::print(fmt::runtime(kUsage), argv[0]);
  if (!line.names_run()) return line.help ? kDone : kBadRecipe;
  return run_train(line.options);
}

}  // namespace

int run_train(const TrainOptions& o) {
  const std::filesystem::path file = o.resume.empty() ? o.recipe : RunFiles(o.resume).resolved();
  const auto settings = method_config(recipe_name(file));
  Config config(*settings);
  if (o.action == TrainAction::print_keys) {
    fmt::print(o.out, "\nKeys of {}:\n{}", file.string(), config.help());
    return kDone;
  }
  config.read(file, o.changes);
  if (settings->name.empty()) settings->name = file.stem();
  const std::string resolved = config.yaml();
  if (o.action == TrainAction::print_config) {
    fmt::print(o.out, "{}", resolved);
    return kDone;
  }
  const auto recipe = settings->build();
  if (o.action == TrainAction::dry_run) {
    dry_run(*recipe, o.out);
    return kDone;
  }
  const RunFolder folder = open_folder(o, *settings, resolved);
  settings->out.clear();  // checkpoints do not depend on where they are
  const bool changed = !o.resume.empty() && !o.changes.empty();
  return run_training(*recipe, folder,
                      {.command = o.command,
                       .config = config.yaml(false),
                       .changed = changed ? resolved : "",
                       .plain = o.plain,
                       .out = o.out});
}

int train_main(int argc, char** argv) {
  spin_briefly(argv);
  return run_program(train, argc, argv);
}

}  // namespace vitrail::recipes
