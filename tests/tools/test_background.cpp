// data.background and --background: the colour behind transparent pixels, from training to the commands.
#include "tests/data/png_builder.h"
#include "tests/tools/program.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>

using namespace vitrail;
using test::Output;

namespace {

constexpr int kSide = 8;

/// A square in the middle of a clear ground, whose hidden colour is black; or the same on white without alpha.
std::string drawing(int shade, bool clear) {
  std::string rows;
  for (int y = 0; y < kSide; ++y) {
    rows += '\0';
    for (int x = 0; x < kSide; ++x) {
      const bool inside = x > 1 && x < 6 && y > 1 && y < 6;
      rows += std::string(3, char(inside ? shade : clear ? 0 : 255));
      if (clear) rows += char(inside ? 255 : 0);
    }
  }
  return test::Png{.width = kSide, .height = kSide, .color = clear ? 6 : 2, .rows = rows}.file();
}

void make_images(const std::filesystem::path& root, bool clear) {
  for (const std::string part : {"train", "val"})
    for (const int shade : {40, 200})
      for (int i = 0; i < 4; ++i) {
        const auto folder = root / part / (shade == 40 ? "dark" : "light");
        std::filesystem::create_directories(folder);
        test::write_text(folder / (std::to_string(i) + ".png"), drawing(shade + 8 * i, clear));
      }
}

}  // namespace

TEST_CASE("a run keeps its background, and the commands use it again") {
  const test::TemporaryFolder folder;
  make_images(folder.path() / "clear", true);
  make_images(folder.path() / "white", false);
  test::write_text(folder.path() / "tiny.yaml", R"(recipe: supervised
model: {arch: vit_tiny, patch_size: 4, embed_dim: 16, depth: 1, num_heads: 2, global_pool: token}
data: {root: x, img_size: 8, crop: none, hflip: 0, workers: 1}
schedule: {warmup_epochs: 0}
train: {epochs: 1, batch_size: 4}
)");
  const auto train = [&](const std::string& arguments) { return test::run(folder, "train", "tiny.yaml " + arguments); };
  const auto vitrail = [&](const std::string& arguments) {
    Output output = test::vitrail_program(folder, arguments);
    CAPTURE(arguments);
    CAPTURE(output.err);
    CHECK(output.code == 0);
    return output;
  };
  const std::string note = "some images have transparent pixels";
  const auto metrics = [&](const std::string& run) {
    return nlohmann::json::parse(test::read_text(folder.path() / run / "result.json"))["metrics"];
  };
  const Output on_white = train("data.root=clear data.background=white out=laid");
  CHECK(on_white.code == 0);
  CHECK((on_white.out + on_white.err).find(note) == std::string::npos);
  CHECK(train("data.root=white out=opaque").code == 0);
  CHECK(metrics("laid") == metrics("opaque"));
  test::check_says(train("data.root=clear out=dropped"), 0, note);
  CHECK(metrics("dropped") != metrics("opaque"));
  test::check_says(train("data.root=clear data.background=wite out=never"), 2, "'wite' is no colour");

  // eval, and features of one image
  const auto loss = [&](const std::string& arguments) {
    return nlohmann::json::parse(vitrail("eval " + arguments + " --json --confusion ''").out)["loss"];
  };
  CHECK(loss("laid clear") == loss("laid white"));
  CHECK(loss("laid clear --background drop") != loss("laid white"));
  CHECK(loss("dropped clear --background '#ffffff'") == loss("dropped white"));
  const auto cosine = [&](const std::string& arguments) {
    const std::string pair = "similarity clear/val/dark/0.png white/val/dark/0.png --json -m ";
    return nlohmann::json::parse(vitrail(pair + arguments).out)["cosines"][0][1].get<double>();
  };
  CHECK(cosine("laid") == doctest::Approx(1).epsilon(1e-6));
  CHECK(cosine("laid --background black") < cosine("laid"));

  // A published model has no background; the note says so, unless one is named.
  test::check_says(vitrail("convert laid -o published"), 0, "--background '#ffffff'");
  const std::string one = "features clear/val/dark/0.png -o f.csv -m published";
  CHECK(vitrail(one).err.find(note) != std::string::npos);
  CHECK(vitrail(one + " --background drop").err.find(note) == std::string::npos);
  CHECK(cosine("published --background white") == doctest::Approx(1).epsilon(1e-6));
  vitrail("pca published clear/val/dark/0.png --background white -o pca.png");
  test::check_says(test::vitrail_program(folder, one + " --background wite"), 2, "known are drop, white");
}
