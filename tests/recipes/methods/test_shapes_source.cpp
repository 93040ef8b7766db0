#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "tests/support/training_run.h"
#include "vitrail/core/error.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/methods/clip.h"

#include <doctest/doctest.h>

#include <set>

using namespace vitrail;
using namespace vitrail::recipes;

namespace {

constexpr std::string_view kRecipe = R"(
recipe: clip
name: scenes
model: {arch: ViT-S-32-alt, embed_dim: 16}
vision: {patch_size: 8, embed_dim: 24, depth: 2, num_heads: 2}
text: {vocab_size: 560, context_length: 24, embed_dim: 16, depth: 2, num_heads: 2}
data: {source: shapes, shapes: {train: 16, val: 6, side: 32, levels: [0, 1]}, img_size: 32, workers: 1}
schedule: {warmup_epochs: 1}
train: {epochs: 2, batch_size: 8}
)";

}  // namespace

TEST_CASE("clip trains on generated shapes, and goes on bit for bit") {
  const test::TemporaryFolder temp;
  const auto settings = [](ClipConfig& clip) {
    Config config(clip);
    config.read_text(kRecipe, "scenes.yaml");
    return config.yaml(false);
  };
  ClipConfig first, second;
  const std::string yaml = settings(first);
  settings(second);
  const RunFolder whole = RunFolder::create(temp.path() / "whole", "scenes");
  const test::Outcome outcome = test::run(*first.build(), whole, yaml);
  CHECK(outcome.code == 0);
  CHECK(outcome.result["steps"] == 4);
  CHECK(outcome.result["metrics"].contains("i2t_r1"));
  const RunFolder parts = RunFolder::create(temp.path() / "parts", "scenes");
  {
    const std::unique_ptr<Recipe> half = second.build();
    test::StopAfter stopped(*half, 3);
    CHECK(test::run(stopped, parts, yaml).code == 130);
  }
  const std::unique_ptr<Recipe> again = second.build();
  CHECK(test::run(*again, parts, yaml).last == outcome.last);
  CHECK(again->headline()[0] == "16 training images, 6 validation images, from generated shapes, with captions");

  const Preview shown = second.preview(5);
  CHECK(shown.images.size() == 5);
  CHECK(shown.images[0].size() == data::ImageSize{32, 32});
  for (const std::string& caption : shown.captions) CHECK(caption.starts_with("a"));
}

TEST_CASE("shapes are generated, so a recipe names no files beside them") {
  DataConfig config;
  config.source = DataSource::shapes;
  config.shapes.train = config.shapes.val = 4;
  CHECK(open_captioned(config, "composition", {}).captions.size() == 4);
  CHECK(open_conversations(config, "train").size() == 16);
  CHECK(place_of(config) == "generated shapes");
  CHECK_THROWS_WITH_AS(open_captioned(config, "val", {"name"}), doctest::Contains("have no kinds; 'name' was asked"),
                       DataError);
  config.root = "somewhere";
  CHECK_THROWS_WITH_AS(open_captioned(config, "train", {}),
                       doctest::Contains("leave out data.root, data.val_root and data.val_fraction"), ConfigError);
}

TEST_CASE("a share of the images is held back with all questions about them") {
  const test::TemporaryFolder temp;
  std::string table = "path\tquestion\tanswer\n\thow many legs?\tfour\n";
  for (int i = 0; i < 20; ++i) {
    const std::string name = std::to_string(i) + ".png";
    data::write_png(temp.path() / name, data::Image(4, 4));
    table += name + "\ta?\tb\n" + name + "\tc?\td\n";
  }
  test::write_text(temp.path() / "questions.tsv", table);
  DataConfig config;
  config.root = temp.path().string();
  config.val_fraction = 0.2;
  const data::Conversations train = open_conversations(config, "train"), val = open_conversations(config, "val");
  CHECK(train.images->size() == 16);
  CHECK(train.size() == 33);  // the question about no image stays
  CHECK(val.images->size() == 4);
  CHECK(val.size() == 8);
  std::set<std::string> names;
  for (int64_t i = 0; i < 16; ++i) names.insert(train.images->name(i));
  for (int64_t i = 0; i < 4; ++i) CHECK(!names.contains(val.images->name(i)));
  CHECK(place_of(config) == config.root);
  CHECK(missing_note(config, "train", {}, 5).empty());
  CHECK_THROWS_WITH_AS(missing_note(config, "train", {"a.png"}, 5),
                       doctest::Contains("1 of the 5 images of the part 'train' are not there: a.png; more than"),
                       DataError);
  config.max_bad = 0.5;
  CHECK(missing_note(config, "train", {"a.png", "b.png"}, 5) ==
        "2 of the 5 images of the part 'train' are not there: a.png, b.png; they are left out (data.on_error: skip)");
}
