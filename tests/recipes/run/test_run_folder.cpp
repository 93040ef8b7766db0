#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/recipes/run/environment.h"
#include "vitrail/recipes/run/run_folder.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace vitrail;
using namespace vitrail::recipes;
namespace fs = std::filesystem;

TEST_CASE("a run folder is never overwritten") {
  const test::TemporaryFolder temp;
  const fs::path out = temp.path() / "a/b", empty = temp.path() / "empty";
  {
    const RunFolder run = RunFolder::create(out, "vit");
    CHECK(fs::is_directory(run / "checkpoints"));
    CHECK(run.last() == out / "checkpoints/last.h5");
  }
  CHECK_THROWS_WITH_AS(RunFolder::create(out, "vit"), doctest::Contains("or resume it with --resume"), ConfigError);
  fs::create_directory(empty);
  CHECK(RunFolder::create(empty, "vit").path() == empty);
}

TEST_CASE("default folders count up") {
  const test::TemporaryFolder temp;
  const fs::path before = fs::current_path();
  fs::current_path(temp.path());
  const std::string first = RunFolder::create("", "vit").path(), second = RunFolder::create("", "vit").path();
  fs::current_path(before);
  CHECK(first.starts_with("runs/vit-20"));
  CHECK(first.ends_with("-1"));
  CHECK(second == first.substr(0, first.size() - 1) + "2");
}

TEST_CASE("one trainer a folder") {
  const test::TemporaryFolder temp;
  test::write_text(temp.path() / "resolved.yaml", "");
  {
    const RunFolder run = RunFolder::open(temp.path());
    CHECK_THROWS_WITH_AS(RunFolder::open(temp.path()), doctest::Contains("in use by another trainer"), ConfigError);
  }
  CHECK(RunFolder::open(temp.path()).path() == temp.path());
}

TEST_CASE("resuming needs the folder of a run") {
  const test::TemporaryFolder temp;
  CHECK_THROWS_WITH_AS(RunFolder::open(temp.path()), doctest::Contains("no resolved.yaml"), ConfigError);
  CHECK_THROWS_WITH_AS(RunFolder::open(temp.path() / "none"), doctest::Contains("not a folder"), ConfigError);
}

TEST_CASE("environment.json") {
  const auto json = nlohmann::json::parse(environment_json("train x.yaml"));
  CHECK(json["command"] == "train x.yaml");
  CHECK(json["commit"] == commit());
  for (const char* key : {"version", "compiler", "build", "cpu", "isa", "system"}) CHECK(!json[key].empty());
  CHECK(json["threads"] >= 1);
  CHECK(rss_bytes() > 0);
  CHECK(peak_rss_mb() >= 1);
}
