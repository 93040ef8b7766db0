#include "tests/tools/program.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace vitrail;

TEST_CASE("bench_augment times decoding, each operation and the views of an image") {
  const test::TemporaryFolder folder;
  const std::string image = std::string(VITRAIL_SOURCE_DIR) + "/tests/data/images/baseline.jpg";
  const test::Output output = test::run(folder, "bench_augment", image + " --threads 2 --seconds 0.1");
  CAPTURE(output.err);
  REQUIRE(output.code == 0);
  const auto json = nlohmann::json::parse(output.out);
  CHECK(json["threads"] == 2);
  for (const char* key : {"images_per_s", "augmented_per_s"}) CHECK(json.at(key).get<double>() > 0);
  for (const char* name : {"decode", "resized_crop_224", "hue", "blur", "normalize"})
    CHECK(json.at("ms").at(name).get<double>() > 0);
  CHECK(json["boxes"].size() == 32);
  for (const char* name : {"stb_image", "whole", "skipped", "scaled", "scaled_skipped"})
    CHECK(json.at("crop_ms").at(name).get<double>() > 0);

  const test::Output missing = test::run(folder, "bench_augment", "nowhere.jpg");
  CHECK(missing.code == 3);
  CHECK(missing.err.find("nowhere.jpg") != std::string::npos);
  CHECK(test::run(folder, "bench_augment", image + " --threads 0").code == 2);
}
