#include "tests/tools/program.h"

#include <doctest/doctest.h>

using namespace vitrail;
using test::check_says;
using test::kRecipes;
using test::Output;
using test::run;

TEST_CASE("train finds recipes by their names from any folder, and lists them") {
  const test::TemporaryFolder folder;
  const Output list = run(folder, "train", "--list");
  check_says(list, 0, "vit_digits ");
  check_says(list, 0, "dino_clothing ");
  check_says(list, 0, "the first recipe to run");
  for (const char* name : {"vit_digits", "vit_digits.yaml"}) {
    const Output config = run(folder, "train", std::string(name) + " --print-config");
    check_says(config, 0, "name: vit_digits ");
    check_says(config, 0, "assets/digits8");
  }
  check_says(run(folder, "train", "vit_digit"), 2, "did you mean 'vit_digits'?");
  check_says(run(folder, "train", "here/vit_digits.yaml"), 2,
             "here/vit_digits.yaml: no such file; the recipe that comes with Vitrail is 'vit_digits'");
  check_says(run(folder, "train", "here/other.yaml"), 2, "here/other.yaml: no such file");
  check_says(test::vitrail_program(folder, "preview vit_digits.yaml -n 4 -o seen.png"), 0, "");
}

TEST_CASE("train answers the options of other programs with its settings") {
  const test::TemporaryFolder folder;
  const std::pair<const char*, const char*> cases[] = {
      {"--epochs 3", "write train.epochs=3"},           {"--epochs=3", "write train.epochs=3"},
      {"--batch-size 16", "write train.batch_size=16"}, {"--lr 1e-4", "write optim.lr=1e-4"},
      {"--data.root mine", "write data.root=mine"},     {"--freeze", "write model.freeze=..."},
      {"--resum run", "did you mean '--resume'?"}};
  for (const auto& [options, answer] : cases)
    check_says(run(folder, "train", "vit_digits " + std::string(options)), 2, answer);
}

TEST_CASE("vitrail summary and init take the architecture with and without --arch") {
  const test::TemporaryFolder folder;
  for (const char* arch : {"vit_tiny", "--arch vit_tiny"}) {
    check_says(test::vitrail_program(folder, "summary " + std::string(arch)), 0, "parameters      5717416");
    check_says(test::vitrail_program(folder, "init " + std::string(arch) + " --classes 2 -o m" + arch[0]), 0,
               "random weights");
  }
}
