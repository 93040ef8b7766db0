#include "tests/tools/program.h"
#include "vitrail/data/image/codec.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>

using namespace vitrail;
using test::kRecipes;
using test::Output;

TEST_CASE("a pair of towers is trained, evaluated and asked by one command each") {
  const test::TemporaryFolder folder;
  const auto vitrail = [&](const std::string& arguments) {
    Output output = test::run(folder, "vitrail", arguments);
    CAPTURE(arguments);
    CAPTURE(output.err);
    CHECK(output.code == 0);
    return output;
  };
  const std::string assets = kRecipes + "assets/emoji_captions";
  // The evaluation images are few enough to train on in a test.
  const std::string small =
      " data.train_split=val vision.embed_dim=24 vision.depth=2 vision.num_heads=2 data.img_size=16 "
      "text.vocab_size=600 "
      "text.embed_dim=16 text.depth=1 text.num_heads=2 train.epochs=1 train.batch_size=64 schedule.warmup_epochs=0";
  REQUIRE(test::run(folder, "train", kRecipes + "clip_emoji.yaml out=run" + small).code == 0);

  const auto scores = nlohmann::json::parse(vitrail("retrieval run --json -o answers.png -n 3 -k 4").out);
  for (const char* name : {"zero_shot_top1", "i2t_r1", "i2t_r10", "t2i_r5", "t2i_median_rank"})
    CHECK_MESSAGE(scores.contains(name), name);
  CHECK(data::read_image(folder.path() / "answers.png").width() > 5 * 112);
  CHECK(scores["left_out"] == 0);

  // A broken image is neither scored nor drawn, and its text is no answer.
  std::filesystem::create_directory(folder.path() / "own");
  test::write_text(folder.path() / "own/captions.tsv", "path\tcaption\na.png\tred\nb.png\tblue\nc.png\tgreen\n");
  for (const char* name : {"a.png", "c.png"})
    std::filesystem::copy(folder.path() / "answers.png", folder.path() / "own" / name);
  test::write_text(folder.path() / "own/b.png", "x");
  const Output own = vitrail(
      "retrieval run own data.val_split=train eval.captions=[] \"zero_shot.names=''\" data.on_error=skip "
      "data.max_bad=0.5 --json -o own.png");
  const auto of_own = nlohmann::json::parse(own.out);
  CHECK(of_own["left_out"] == 1);
  CHECK(of_own["images"] == 2);
  CHECK(own.err.find("skipped own/b.png") != std::string::npos);
  CHECK(vitrail("retrieval run").out.find("zero_shot_top10") != std::string::npos);

  const std::string image = (folder.path() / "answers.png").string();
  const auto labels =
      nlohmann::json::parse(vitrail("zero-shot -m run " + image + " --labels 'a dog' 'a cat' --json").out)[0]["labels"];
  CHECK(labels.size() == 2);
  CHECK(labels[0]["probability"] >= labels[1]["probability"]);
  CHECK(double(labels[0]["probability"]) + double(labels[1]["probability"]) == doctest::Approx(1));
  for (const std::string layout : {"hf", "open_clip"})
    CHECK(vitrail("convert run -o " + layout + " --layout " + layout).out.find("CLIP: 2 blocks of width 24") !=
          std::string::npos);
  const Output published = test::run(folder, "vitrail", "retrieval hf");
  CHECK(published.code == 2);
  CHECK(published.err.find("a published CLIP answers vitrail zero-shot and search") != std::string::npos);
  const auto converted =
      nlohmann::json::parse(vitrail("zero-shot -m hf " + image + " --labels 'a dog' 'a cat' --json").out)[0]["labels"];
  CHECK(converted[0]["label"] == labels[0]["label"]);
  CHECK(double(converted[0]["probability"]) == doctest::Approx(double(labels[0]["probability"])).epsilon(1e-5));
  const Output named = vitrail("zero-shot -m run " + image + " -k 2 --names " + assets + "/names.txt");
  CHECK(std::count(named.out.begin(), named.out.end(), '\n') == 3);
  CHECK(std::count(named.out.begin(), named.out.end(), '%') == 2);

  CHECK(vitrail("features -m run " + image + " " + image + " -o f.h5").out.find("2 images, 128 numbers") !=
        std::string::npos);
  const auto found = nlohmann::json::parse(vitrail("search f.h5 -t 'a dog' -k 2 --json").out)[0];
  CHECK(found["query"] == "a dog");
  CHECK(found["found"][0]["picture"] == image);
  CHECK(found["found"][0]["cosine"] == found["found"][1]["cosine"]);
  const auto alike = nlohmann::json::parse(vitrail("search f.h5 " + image + " -k 1 -o found.png --json").out)[0];
  CHECK(alike["found"][0]["cosine"] == doctest::Approx(1).epsilon(1e-4));
  CHECK(data::read_image(folder.path() / "found.png").width() > 2 * 128);

  const Output nothing = test::run(folder, "vitrail", "zero-shot -m run " + image);
  CHECK(nothing.code == 2);
  CHECK(nothing.err.find("no classes: give texts with --labels") != std::string::npos);
  CHECK(vitrail("eval run").out.find(" images: loss ") != std::string::npos);  // the folders' names are the texts
  CHECK(vitrail("knn run " + kRecipes + "assets/emoji -k 5").out.find("model") != std::string::npos);
}
