// train recipe.yaml [key=value ...]: trains what the recipe says, or shows what it would do.
#include "vitrail/core/io/file.h"
#include "vitrail/core/parallel.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/run/environment.h"
#include "vitrail/recipes/run/exit_code.h"
#include "vitrail/recipes/run/loop.h"
#include "vitrail/recipes/run/recipe.h"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace vitrail;
using namespace vitrail::recipes;

constexpr int64_t kMaxRecipeBytes = 64 << 10;

struct Arguments {
  std::string recipe, resume;
  std::vector<std::string> changes;
  bool help = false, print_config = false, dry_run = false, plain = false;
  std::string command;  // all of them
};

void show(const std::string& text) { std::fputs(text.c_str(), stdout); }

/// Empty if the program has said what there was to say and ends with exit_code.
std::optional<Arguments> parse(int argc, char** argv, int& exit_code) {
  Arguments a;
  CLI::App app("Trains what a recipe says: train recipes/vit_digits.yaml train.epochs=10");
  app.set_help_flag();
  app.add_option("recipe", a.recipe, "recipe file");
  app.add_option("changes", a.changes, "key=value, in place of what the recipe says");
  app.add_option("--resume", a.resume, "go on with the run in this folder");
  app.add_flag("--dry-run", a.dry_run, "print the model, its cost and the time of an epoch");
  app.add_flag("--print-config", a.print_config, "print every value with its origin");
  app.add_flag("--plain", a.plain, "print progress as lines, also on a terminal");
  app.add_flag("-h,--help", a.help, "this text; after a recipe, also its keys and defaults");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    exit_code = kBadRecipe;
    return {};
  }
  if (!a.resume.empty() && !a.recipe.empty()) a.changes.insert(a.changes.begin(), std::exchange(a.recipe, ""));
  const bool nothing_to_do = a.recipe.empty() && a.resume.empty();
  if (a.help || nothing_to_do) show(app.help());
  if (nothing_to_do) {
    exit_code = a.help ? kDone : kBadRecipe;
    return {};
  }
  for (int i = 0; i < argc; ++i) a.command += (i > 0 ? " " : "") + std::string(argv[i]);
  return a;
}

/// A new folder with what is known before the first step, or that of the run to resume.
RunFolder open_folder(const Arguments& a, const RecipeConfig& settings, const std::string& resolved) {
  if (!a.resume.empty()) return RunFolder::open(a.resume);
  RunFolder folder = RunFolder::create(settings.out, settings.name);
  durable_write(folder / "recipe.yaml", read_file(a.recipe, kMaxRecipeBytes));
  durable_write(folder / "environment.json", environment_json(a.command));
  durable_write(folder / "resolved.yaml", resolved);  // last: it makes the folder one that can be resumed
  return folder;
}

int train(int argc, char** argv) {
  int exit_code = kDone;
  const std::optional<Arguments> a = parse(argc, argv, exit_code);
  if (!a) return exit_code;

  const std::filesystem::path file = a->resume.empty() ? a->recipe : a->resume + "/resolved.yaml";
  const auto settings = method_config(recipe_name(file));
  Config config(*settings);
  if (a->help) return show("\nKeys of " + file.string() + ":\n" + config.help()), kDone;
  config.read(file, a->changes);
  if (settings->name.empty()) settings->name = file.stem();
  const std::string resolved = config.yaml();
  if (a->print_config) return show(resolved), kDone;

  const auto recipe = settings->build();
  if (a->dry_run) return dry_run(*recipe, stdout), kDone;
  const RunFolder folder = open_folder(*a, *settings, resolved);
  settings->out.clear();  // checkpoints do not depend on where they are
  const bool changed = !a->resume.empty() && !a->changes.empty();
  return run_training(
      *recipe, folder,
      {.command = a->command, .config = config.yaml(false), .changed = changed ? resolved : "", .plain = a->plain});
}

}  // namespace

int main(int argc, char** argv) {
  spin_briefly(argv);
  return run_program(train, argc, argv);
}
