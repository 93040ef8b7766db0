// vitrail COMMAND ...: looks at data and uses trained models. The commands are in tools/commands/.
#include "tools/commands/commands.h"
#include "vitrail/core/error.h"
#include "vitrail/core/parallel.h"
#include "vitrail/data/image/background.h"
#include "vitrail/recipes/config/suggest.h"
#include "vitrail/recipes/run/exit_code.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace {

using namespace vitrail;
using namespace vitrail::recipes;

/// Throws ConfigError with the nearest command if the name is none of the program's commands.
void check_command(const tools::Program& program, const std::string& name) {
  std::vector<std::string> known;
  for (const tools::Command& command : program.commands()) known.push_back(command.name());
  check<ConfigError>(std::find(known.begin(), known.end(), name) != known.end(), "vitrail",
                     "no command '{}'{}; there are {}", name, did_you_mean(name, known), fmt::join(known, ", "));
}

int vitrail_program(int argc, char** argv) {
  spin_briefly(argv);
  tools::Program program("vitrail", "Looks at data and uses trained models. See also: vitrail COMMAND --help");
  program.example("vitrail summary vit_small");
  program.group("Data", {tools::add_pack, tools::add_preview, tools::add_tokenizer, tools::add_tokens});
  program.group("Training", {tools::add_summary, tools::add_launch, tools::add_plot});
  program.group("Evaluation",
                {tools::add_eval, tools::add_knn, tools::add_linear, tools::add_patches, tools::add_retrieval});
  program.group("Look inside",
                {tools::add_attention, tools::add_artifacts, tools::add_pca, tools::add_neighbours, tools::add_map});
  program.group("Use", {tools::add_predict, tools::add_features, tools::add_similarity, tools::add_search,
                        tools::add_zero_shot, tools::add_generate, tools::add_chat, tools::add_caption});
  program.group("Publish", {tools::add_init, tools::add_export, tools::add_convert});
  program.group("Shell", {tools::add_completion});
  if (argc < 2) {
    fmt::print("{}\nA command is required.\n", program.help());
    return kBadRecipe;
  }
  if (argv[1][0] != '-') check_command(program, argv[1]);
  const int code = program.parse(argc, argv).value_or(kDone);
  if (const auto note = data::take_transparency_note()) fmt::print(stderr, "{}\n", *note);
  return code;
}

}  // namespace

int main(int argc, char** argv) { return run_program(vitrail_program, argc, argv); }
