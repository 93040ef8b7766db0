#include "vitrail/recipes/run/train.h"

#include "vitrail/core/comm/comm.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/parallel.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/config/suggest.h"
#include "vitrail/recipes/run/environment.h"
#include "vitrail/recipes/run/exit_code.h"
#include "vitrail/recipes/run/loop.h"
#include "vitrail/recipes/run/ranks.h"
#include "vitrail/recipes/run/recipe_files.h"
#include "vitrail/recipes/run/registry.h"
#include "vitrail/recipes/run/run_folder.h"
#include "vitrail/version.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>
#include <variant>

namespace vitrail::recipes {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxRecipeBytes = 64 << 10;

/// A new folder with the files that are known before the first step.
RunFolder make_folder(const TrainOptions& o, const fs::path& recipe, const RecipeConfig& settings,
                      const std::string& resolved) {
  const std::string text = read_file(recipe, kMaxRecipeBytes);
  RunFolder folder = RunFolder::create(settings.out, settings.name);
  durable_write(folder.recipe(), text);
  durable_write(folder.environment(), environment_json(o.command));
  durable_write(folder.resolved(), resolved);  // last: a folder with it can be resumed
  return folder;
}

void append(std::vector<std::string>& notes, std::vector<std::string> more) {
  std::move(more.begin(), more.end(), std::back_inserter(notes));
}

/// A line for each value that a resumed run has changed. Throws ConfigError for those that cannot change.
std::vector<std::string> resume_notes(const fs::path& resolved, const Config& now) {
  const auto settings = method_config(recipe_name(resolved));
  Config before(*settings);
  before.read(resolved);
  std::vector<std::string> notes;
  for (const ChangedValue& v : changed_values(before, now)) {
    check<ConfigError>(v.key != "out", "out",
                       "a run resumes in its own folder, {}; copy the folder to go on in another",
                       resolved.parent_path().string());
    const bool fixed = v.key == "model.freeze" || (v.key.starts_with("lora.") && v.key != "lora.dropout");
    check<ConfigError>(!fixed, v.key, "was {} when the run began and cannot change in it; begin a new run with init={}",
                       v.from, resolved.parent_path().string());
    notes.push_back(fmt::format("resuming with {}: {}, which was {}", v.key, v.to, v.from));
    if (v.key == "seed") notes.back() += "; the random numbers and the order of the images are other ones from here on";
  }
  return notes;
}

/// A run that is no longer than the recipe's warm-up gets a shorter one, unless the user asked for that warm-up.
/// Returns a note about the change.
std::vector<std::string> shorten_warmup(Config& config) {
  const Field* const warmup = config.find("schedule.warmup_epochs");
  const Field* const epochs = config.find("train.epochs");
  if (!warmup || !epochs || warmup->is_of_command_line()) return {};
  const double length = *std::get<double*>(warmup->slot);
  const double whole = double(*std::get<int64_t*>(epochs->slot));
  if (length < whole) return {};
  const double shorter = whole / 10;
  config.set(fmt::format("schedule.warmup_epochs={}", shorter), "a tenth of train.epochs");
  return {
      fmt::format("schedule.warmup_epochs is {} in place of {}: a tenth of train.epochs {}", shorter, length, whole)};
}

/// A new run has as many shards as ranks, unless the recipe says otherwise. Alone it has one, which needs no word.
void set_shards(Config& config) {
  const Field* const shards = config.find("train.shards");
  if (comm().size() == 1 || shards == nullptr || std::get<std::optional<int64_t>*>(shards->slot)->has_value()) return;
  config.set(fmt::format("train.shards={}", comm().size()), "the number of ranks");
}

constexpr const char* kUsage =
    R"(Trains the model of a recipe: {0} recipe.yaml train.epochs=10
Usage: {0} [OPTIONS] [recipe] [changes...]

Positionals:
  recipe                      recipe file, or the name of one that --list shows
  changes                     key=value, overrides the recipe

Options:
  --resume FOLDER             continue the run in this folder
  --dry-run                   print the model, its cost and the time of an epoch
  --print-config              print every value with its origin
  --plain                     print progress as lines, even on a terminal
  --version                   print the version and exit
  --list                      list the recipes that come with Vitrail
  -h,--help                   this text; after a recipe, also its keys and defaults
)";

struct CommandLine {
  TrainOptions options;
  bool help = false, version = false, list = false;

  bool names_run() const { return !options.recipe.empty() || !options.resume.empty(); }
};

/// "train.epochs=3" for the option --epochs 3 or --epochs=3; empty if no key of a method ends so.
std::string as_setting(std::string name, std::string value) {
  name.erase(0, name.find_first_not_of('-'));
  if (const size_t equals = name.find('='); equals != name.npos) {
    value = name.substr(equals + 1);
    name.resize(equals);
  }
  std::replace(name.begin(), name.end(), '-', '_');
  if (value.empty() || value.find('=') != value.npos) value = "...";
  for (const std::string& method : methods()) {
    const auto settings = method_config(method);
    const Config config(*settings);
    for (const Field& field : config.fields())
      if (field.key == name || field.key.ends_with("." + name)) return field.key + "=" + value;
  }
  return "";
}

[[noreturn]] void refuse_option(const std::string& option, const std::string& next,
                                const std::vector<std::string>& known) {
  const std::string setting = as_setting(option, next);
  check<ConfigError>(setting.empty(), "train", "unknown option '{}'; settings have no dashes: write {}", option,
                     setting);
  fail<ConfigError>("train", "unknown option '{}'{}; --help lists all", option, did_you_mean(option, known));
}

CommandLine parse(int argc, char** argv) {
  const std::vector<std::string> known = {"--resume",  "--dry-run", "--print-config", "--plain",
                                          "--version", "--list",    "--help"};
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
    } else if (argument == "--list") {
      line.list = true;
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
      if (argument.starts_with("-")) refuse_option(std::string(argument), i + 1 < argc ? argv[i + 1] : "", known);
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
  CommandLine line = parse(argc, argv);
  if (!leads()) line.options.out = std::fopen("/dev/null", "w");  // rank 0 speaks for all
  if (line.version) return fmt::print("Vitrail " VITRAIL_VERSION "\n"), kDone;
  if (line.list) {
    for (const RecipeFile& recipe : bundled_recipes()) fmt::print("{:<18} {}\n", recipe.name, recipe.title);
    return kDone;
  }
  if (line.help || !line.names_run()) fmt::print(fmt::runtime(kUsage), argv[0]);
  if (!line.names_run()) return line.help ? kDone : kBadRecipe;
  return run_train(line.options);
}

}  // namespace

int run_train(const TrainOptions& o) {
  const bool resumed = !o.resume.empty();
  if (resumed) expect_run(o.resume);
  const fs::path file = resumed ? RunFiles(o.resume).resolved() : find_recipe(o.recipe);
  const auto settings = method_config(recipe_name(file));
  Config config(*settings);
  if (o.action == TrainAction::print_keys) {
    fmt::print(o.out, "\nKeys of {}:\n{}", file.string(), config.help());
    return kDone;
  }
  config.read(file, o.changes);
  if (settings->name.empty()) settings->name = file.stem();
  std::vector<std::string> notes = settings->settle(config);
  append(notes, resumed ? resume_notes(file, config) : shorten_warmup(config));
  if (!resumed) set_shards(config);
  config.make_paths_absolute();
  const std::string resolved = config.yaml();
  if (o.action == TrainAction::print_config) {
    fmt::print(o.out, "{}", resolved);
    return kDone;
  }
  if (resumed)
    if (std::string note = decoder_note(RunFiles(o.resume).environment()); !note.empty())
      notes.push_back(std::move(note));
  for (const std::string& note : notes) fmt::print(o.out, "{}\n", note);
  std::fflush(o.out);
  const auto recipe = settings->build();
  if (!leads() && o.action == TrainAction::train) return follow_training(*recipe);
  LoopOptions options{.command = o.command, .config = {}, .plain = o.plain, .out = o.out};
  // Weights that do not fit are found before the run has a folder.
  if (!resumed || !RunFiles(o.resume).has_checkpoint()) options.begun = recipe->begin();
  if (o.action == TrainAction::dry_run) {
    for (const std::string& message : options.begun.value_or(std::vector<std::string>()))
      fmt::print(o.out, "{}\n", message);
    dry_run(*recipe, o.out);
    return kDone;
  }
  const RunFolder folder = resumed ? RunFolder::open(o.resume) : make_folder(o, file, *settings, resolved);
  settings->out.clear();  // checkpoints do not depend on where they are
  options.config = config.yaml(false);
  if (resumed && !o.changes.empty()) options.changed = resolved;
  try {
    return run_training(*recipe, folder, options);
  } catch (...) {
    if (!resumed) folder.remove_if_unused();
    throw;
  }
}

int train_main(int argc, char** argv) {
  spin_briefly(argv);
  return run_program([](int count, char** arguments) { return run_ranked(train, count, arguments); }, argc, argv);
}

}  // namespace vitrail::recipes
