#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/eval/evaluate.h"
#include "vitrail/recipes/eval/top_classes.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/open_run.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace vitrail;
using namespace vitrail::recipes;

TEST_CASE("a label's place among the largest logits") {
  const Tensor logits = tensor<float>({3, 1, 2, 1, 1, 1, 0, 5, 4}, {3, 3});
  const Tensor labels = tensor<int64_t>({2, 1, 0}, {3});
  CHECK(label_places(logits, labels, 1) == std::vector<int64_t>{1, 1, 1});
  CHECK(label_places(logits, labels, 2) == std::vector<int64_t>{1, 1, 2});
  CHECK(label_places(logits, labels, 5) == std::vector<int64_t>{1, 1, 2});  // on ties the first class comes first
}

TEST_CASE("scores are shares of all images") {
  Scores scores;
  scores.loss = 0.5;
  scores.all = {.images = 8, .top1 = 2, .top5 = 6};
  CHECK(scores.stats() == Stats{{"loss", 0.5}, {"top1", 0.25}, {"top5", 0.75}});
}

TEST_CASE("the scores of a distilled model's heads follow its own") {
  Scores scores;
  scores.all = {.images = 4, .top1 = 2, .top5 = 4};
  scores.heads.resize(2);
  scores.heads[0].all = {.images = 4, .top1 = 1, .top5 = 4};
  scores.heads[1].all = {.images = 4, .top1 = 3, .top5 = 4};
  const Stats stats = scores.stats();
  CHECK(stat(stats, "top1") == 0.5);
  CHECK(stat(stats, "cls_top1") == 0.25);
  CHECK(stat(stats, "dist_top1") == 0.75);
  CHECK(stats.size() == 9);
}

TEST_CASE("the most probable classes have their names, or the numbers of their outputs") {
  const Tensor logits = tensor<float>({0, 2, 1, 3, 0, 0}, {2, 3});
  const auto rows = top_classes(logits, {"hat", "shirt", "shoe"}, 2);
  REQUIRE(rows.size() == 2);
  REQUIRE(rows[0].size() == 2);
  CHECK(rows[0][0].name == "shirt");
  CHECK(rows[0][0].output == 1);
  CHECK(rows[0][0].probability == doctest::Approx(std::exp(2.0) / (1 + std::exp(1.0) + std::exp(2.0))));
  CHECK(rows[0][1].name == "shoe");
  CHECK(rows[1][0].name == "hat");
  CHECK(top_classes(logits, {}, 9)[0].size() == 3);
  CHECK(top_classes(logits, {}, 1)[0][0].name == "1");
  CHECK_THROWS_AS(top_classes(logits, {"hat"}, 1), ShapeError);
}

TEST_CASE("images that are not scored are counted") {
  CHECK(left_out_note(5, 5).empty());
  CHECK(left_out_note(5, 3) == "2 of 5 images to evaluate on are broken and left out");
}

TEST_CASE("a preview has the images of the first steps, at most all") {
  const auto settings = read_settings(VITRAIL_SOURCE_DIR "/recipes/vit_digits.yaml");
  DataConfig config = settings->sections().data;
  config.crop = TrainCrop::none;
  const Preview few = preview(config, 0, 3), all = preview(config, 0, 5000);
  CHECK(all.images.size() == 1437);
  REQUIRE(few.images.size() == 3);
  for (size_t i = 0; i < 3; ++i) {
    CHECK(few.images[i] == all.images[i]);
    CHECK(few.captions[i] == all.captions[i]);
  }
  const auto dataset = open_labelled(config, "train");
  int found = 0;  // nothing is cropped or mirrored
  for (int64_t i = 0; i < dataset->size(); ++i) found += dataset->get(i).image == few.images[0];
  CHECK(found >= 1);
}

TEST_CASE("what is no trained model is refused") {
  const test::TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(open_model(folder.path()), doctest::Contains("no checkpoints/best.h5 or last.h5"), ConfigError);
  test::write_text(folder.path() / "text.h5", "not a checkpoint");
  CHECK_THROWS_AS(open_model(folder.path() / "text.h5"), IoError);
}
