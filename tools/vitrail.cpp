// vitrail COMMAND ...: looks at data, uses trained models. See tools/commands/ for the commands.
#include "tools/commands/commands.h"
#include "vitrail/core/error.h"
#include "vitrail/core/parallel.h"
#include "vitrail/recipes/config/suggest.h"
#include "vitrail/recipes/run/exit_code.h"

#include <string>
#include <vector>

namespace {

using namespace vitrail;
using namespace vitrail::recipes;

/// Throws ConfigError with the nearest command unless the first argument is one, or an option.
void check_command(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> names;
  std::string all;
  for (const CLI::App* command : app.get_subcommands({})) {
    names.push_back(command->get_name());
    all += (all.empty() ? "" : ", ") + names.back();
    if (names.back() == argv[1]) return;
  }
  fail<ConfigError>("vitrail", "no command '{}'{}; there are {}", argv[1], did_you_mean(argv[1], names), all);
}

int vitrail_program(int argc, char** argv) {
  spin_briefly(argv);
  CLI::App app("Looks at data and uses trained models. More about a command: vitrail COMMAND --help", "vitrail");
  app.footer("Example: vitrail summary vit_small");
  app.require_subcommand(1);
  tools::add_pack(app);
  tools::add_preview(app);
  tools::add_eval(app);
  tools::add_summary(app);
  tools::add_export(app);
  tools::add_convert(app);
  tools::add_init(app);
  tools::add_plot(app);
  tools::add_tokenizer(app);
  tools::add_zero_shot(app);
  tools::add_features(app);
  tools::add_similarity(app);
  tools::add_search(app);
  tools::add_retrieval(app);
  tools::add_knn(app);
  tools::add_linear(app);
  tools::add_attention(app);
  tools::add_pca(app);
  tools::add_neighbours(app);
  tools::add_map(app);
  tools::add_completion(app);
  check_command(app, argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kBadRecipe;
  }
  return kDone;
}

}  // namespace

int main(int argc, char** argv) { return run_program(vitrail_program, argc, argv); }
