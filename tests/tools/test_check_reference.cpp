#include "tests/support/reference.h"
#include "tests/tools/program.h"
#include "vitrail/core/io/hdf5.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <sstream>
#include <vector>

using namespace vitrail;
using test::Output;

namespace {

Output check_reference(const test::TemporaryFolder& folder, const std::string& arguments) {
  return test::run(folder, "check_reference", arguments);
}

std::vector<nlohmann::json> lines_of(const std::string& text) {
  std::vector<nlohmann::json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

/// Writes two cases: the mirror image of two pixels, with these expected pixels, and an operation that nobody
/// implements.
void write_flip(const std::filesystem::path& path, const std::vector<uint8_t>& expected) {
  hdf5::Writer file(path);
  file.write("images/two", tensor<uint8_t>({1, 2, 3, 4, 5, 6}, {1, 2, 3}));
  file.write("hflip/000", tensor<uint8_t>(expected, {1, 2, 3}));
  file.attribute("hflip/000", "image", std::string("two"));
  file.write("later/thing", tensor<double>({1}, {1}));
  file.close();
}

}  // namespace

TEST_CASE("check_reference prints a line for each case and fails if one does") {
  const test::TemporaryFolder folder;
  write_flip(folder.path() / "good.h5", {4, 5, 6, 1, 2, 3});
  write_flip(folder.path() / "bad.h5", {4, 5, 6, 1, 2, 5});

  const Output good = check_reference(folder, "good.h5 --json");
  CHECK(good.code == 0);
  const auto lines = lines_of(good.out);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == nlohmann::json{{"file", "good.h5"},
                                   {"case", "hflip/000"},
                                   {"dtype", "f32"},
                                   {"worst", 0.0},
                                   {"tolerance", 0.0},
                                   {"pass", true}});
  CHECK(lines[1]["case"] == "later/thing");
  CHECK(lines[1]["pass"] == "unknown");

  const Output both = check_reference(folder, "bad.h5 good.h5 --json --dtype f64");
  CHECK(both.code == 1);
  REQUIRE(lines_of(both.out).size() == 4);
  CHECK(lines_of(both.out)[0]["pass"] == false);
  CHECK(lines_of(both.out)[0]["worst"] == 2.0);
  CHECK(lines_of(both.out)[0]["dtype"] == "f64");
  CHECK(lines_of(both.out)[2]["pass"] == true);
  CHECK(check_reference(folder, "bad.h5").out.find("FAIL    bad.h5 hflip/000 f32: 2 of 0") != std::string::npos);
}

TEST_CASE("check_reference says what is wrong with its arguments") {
  const test::TemporaryFolder folder;
  CHECK(check_reference(folder, "").code == 2);
  CHECK(check_reference(folder, "x.h5 --dtype f16").code == 2);
  CHECK(check_reference(folder, "--help").code == 0);
  const Output missing = check_reference(folder, "nowhere.h5");
  CHECK(missing.code == 3);
  CHECK(missing.err.find("nowhere.h5") != std::string::npos);
}

TEST_CASE("check_reference passes the files it knows whole") {
  const auto path = test::reference_path("optim.h5");
  if (!path) return;
  const test::TemporaryFolder folder;
  const Output output = check_reference(folder, path->string() + " --json");
  CHECK(output.code == 0);
  for (const auto& line : lines_of(output.out)) CHECK(line["pass"] == true);
}
