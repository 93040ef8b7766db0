// Resumes runs that an older version began (tests/runs). They end as if that version had finished them.
#include "tests/tools/program.h"

#include <nlohmann/json.hpp>

#include <fstream>
#include <vector>

using namespace vitrail::test;

namespace {

/// The lines of a metrics.jsonl that training steps wrote.
std::vector<nlohmann::json> training_rows(const std::filesystem::path& file) {
  std::vector<nlohmann::json> rows;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    auto row = nlohmann::json::parse(line);
    if (row["t"] == "train") rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

TEST_CASE("a run of version 0.1.0 resumes and ends as it would have then") {
  const struct {
    const char* method;
    const char* data;
  } runs[] = {
      {"supervised", "data.root={}digits8"},
      {"dino", "data.root={}emoji"},
      {"clip", "data.root={}emoji_captions zero_shot.names={}emoji_captions/names.txt"},
  };
  for (const auto& old : runs) {
    SUBCASE(old.method) {
      const std::filesystem::path source = std::string(VITRAIL_SOURCE_DIR "/tests/runs/") + old.method;
      const TemporaryFolder folder;
      std::filesystem::copy(source / "run", folder.path() / "run", std::filesystem::copy_options::recursive);
      std::string changes = old.data;
      for (size_t at; (at = changes.find("{}")) != std::string::npos;) changes.replace(at, 2, kRecipes + "assets/");
      const Output output = run(folder, "train", "--resume run " + changes);
      check_says(output, 0, "resuming after step");

      const auto expected = training_rows(source / "finished.jsonl");
      const auto found = training_rows(folder.path() / "run/metrics.jsonl");
      REQUIRE(expected.size() > 5);
      REQUIRE(found.size() == expected.size());
      for (size_t i = 0; i < found.size(); ++i) {
        CAPTURE(i);
        CHECK(found[i]["step"] == expected[i]["step"]);
        CHECK(found[i]["lr"].get<double>() == doctest::Approx(expected[i]["lr"].get<double>()).epsilon(1e-12));
        CHECK(found[i]["loss"].get<double>() == doctest::Approx(expected[i]["loss"].get<double>()).epsilon(1e-3));
      }
    }
  }
}
