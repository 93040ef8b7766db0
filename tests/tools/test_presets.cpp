// How people build the project: CMakePresets.json and the Makefile.
#include "tests/support/text_file.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>

namespace vitrail::test {
namespace {

std::string source_file(const char* name) { return read_text(std::filesystem::path(VITRAIL_SOURCE_DIR) / name); }

/// A cache variable of a configure preset, from the preset itself or from those it inherits; empty if none sets it.
std::string cache_variable(const nlohmann::json& presets, const std::string& preset, const std::string& name) {
  for (const auto& p : presets["configurePresets"]) {
    if (p["name"] != preset) continue;
    if (p.contains("cacheVariables") && p["cacheVariables"].contains(name)) return p["cacheVariables"][name];
    return p.contains("inherits") ? cache_variable(presets, p["inherits"], name) : std::string();
  }
  return {};
}

}  // namespace

TEST_CASE("warnings are errors in the developers' presets, and in no other") {
  const auto presets = nlohmann::json::parse(source_file("CMakePresets.json"));
  CHECK(cache_variable(presets, "release", "CMAKE_BUILD_TYPE") == "Release");
  CHECK(cache_variable(presets, "release", "VITRAIL_WERROR").empty());  // a newer compiler has new warnings
  for (const char* preset : {"dev", "asan", "tsan"}) CHECK(cache_variable(presets, preset, "VITRAIL_WERROR") == "ON");
}

TEST_CASE("make quickstart builds the trainer alone, and says how long that took") {
  const std::string makefile = source_file("Makefile");
  const size_t begin = makefile.find("\nquickstart:"), end = makefile.find("\n\n", begin + 1);
  REQUIRE(begin != std::string::npos);
  const std::string quickstart = makefile.substr(begin, end - begin);
  CHECK(quickstart.find("-DVITRAIL_BUILD_TESTS=OFF") != std::string::npos);
  CHECK(quickstart.find("--target train") != std::string::npos);
  CHECK(quickstart.find("built in ") != std::string::npos);
}

}  // namespace vitrail::test
