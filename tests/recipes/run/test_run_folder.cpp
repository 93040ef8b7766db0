#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/data/image/codec.h"
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
    test::write_text(run.last(), "");
  }
  CHECK_THROWS_WITH_AS(RunFolder::create(out, "vit"), doctest::Contains("or resume it with --resume"), ConfigError);
  fs::create_directory(empty);
  CHECK(RunFolder::create(empty, "vit").path() == empty);
}

TEST_CASE("the folder of a run that failed at its start is taken over, any other is left alone") {
  const test::TemporaryFolder temp;
  const fs::path out = temp.path() / "run";
  const auto fail_at_start = [&] {
    const RunFolder run = RunFolder::create(out, "vit");
    for (const fs::path& file : {run.recipe(), run.environment(), run.resolved()}) test::write_text(file, "x");
    test::write_text(run.metrics(), "");
  };
  fail_at_start();
  {
    const RunFolder again = RunFolder::create(out, "vit");
    CHECK_FALSE(fs::exists(again.resolved()));
    CHECK(fs::is_empty(again.checkpoints()));
    again.remove_if_unused();  // it has no files of a start, so it may be somebody's
    CHECK(fs::exists(out));
  }
  for (const char* kept : {"run/metrics.jsonl", "run/checkpoints/last.h5", "run/notes.txt"}) {
    CAPTURE(kept);
    fs::remove_all(out);
    fail_at_start();
    test::write_text(temp.path() / kept, "{}\n");
    CHECK_THROWS_AS(RunFolder::create(out, "vit"), ConfigError);
    RunFolder::open(out).remove_if_unused();
    CHECK(test::read_text(temp.path() / kept) == "{}\n");
  }
  fs::remove_all(out);
  fail_at_start();
  RunFolder::open(out).remove_if_unused();
  CHECK_FALSE(fs::exists(out));
  // A recipe that somebody keeps there is theirs.
  fs::create_directory(out);
  test::write_text(out / "recipe.yaml", "recipe: supervised\n");
  CHECK_THROWS_AS(RunFolder::create(out, "vit"), ConfigError);
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

TEST_CASE("a run that began with other image decoders is told") {
  const test::TemporaryFolder temp;
  const auto file = temp.path() / "environment.json";
  const auto note = [&](const std::string& text) {
    test::write_text(file, text);
    return decoder_note(file);
  };
  CHECK(decoder_note(file).empty());
  CHECK(note(environment_json("train")).empty());
  CHECK(note("{").empty());
  CHECK(note(R"({"jpeg_decoder": "libjpeg-turbo 1", "webp_decoder": ")" + data::webp_decoder_name() + "\"}") ==
        "this run began with other image decoders (JPEG: libjpeg-turbo 1, now " + data::jpeg_decoder_name() +
            "); images of these kinds differ slightly from here on");
  if (data::jpeg_decoder_name() != "stb_image")
    CHECK(note("{}").find("JPEG: stb_image, now libjpeg-turbo") != std::string::npos);
}

TEST_CASE("environment.json") {
  const auto json = nlohmann::json::parse(environment_json("train x.yaml"));
  CHECK(json["command"] == "train x.yaml");
  CHECK(json["commit"] == commit());
  for (const char* key : {"version", "compiler", "build", "cpu", "isa", "system"}) CHECK(!json[key].empty());
  CHECK(json["jpeg_decoder"] == data::jpeg_decoder_name());
  CHECK(json["webp_decoder"] == data::webp_decoder_name());
  CHECK(json["threads"] >= 1);
  CHECK(rss_bytes() > 0);
  CHECK(peak_rss_mb() >= 1);
}
