#include "tests/tools/program.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace vitrail;

TEST_CASE("bench_recipe trains as a recipe says, and on batches made beforehand") {
  const test::TemporaryFolder folder;
  const std::string recipe = std::string(VITRAIL_SOURCE_DIR) + "/recipes/vit_digits.yaml";
  const test::Output output = test::run(folder, "bench_recipe", recipe + " train.batch_size=64 --steps 2 --rounds 3");
  CAPTURE(output.err);
  REQUIRE(output.code == 0);
  const auto json = nlohmann::json::parse(output.out);
  CHECK(json["batch_size"] == 64);
  CHECK(json["rounds"].size() == 3);
  for (const char* key : {"images_per_s", "made_beforehand_per_s", "ratio"}) CHECK(json.at(key).get<double>() > 0);

  const test::Output missing = test::run(folder, "bench_recipe", "nowhere.yaml");
  CHECK(missing.code == 2);
  CHECK(missing.err.find("nowhere.yaml") != std::string::npos);
  CHECK(test::run(folder, "bench_recipe", recipe + " --steps 0").code == 2);
  CHECK(test::run(folder, "bench_recipe", recipe + " train.epochs=5 --steps 10000").code == 2);
}
