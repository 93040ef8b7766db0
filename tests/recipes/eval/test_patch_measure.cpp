#include "tests/data/png_builder.h"
#include "tests/support/close.h"
#include "tests/support/messages.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/rng.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/recipes/eval/patch_measure.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <set>

using namespace vitrail;
using namespace vitrail::recipes;
namespace fs = std::filesystem;

namespace {

const Tick kNoTick = [](int64_t, int64_t) {};
const std::string kDrawings = VITRAIL_SOURCE_DIR "/recipes/assets/emoji_cutouts";

data::Image grey(int64_t side, const std::vector<uint8_t>& values) {
  data::Image image(side, side);
  for (size_t i = 0; i < values.size(); ++i) std::fill_n(image.data() + 3 * i, 3, values[i]);
  return image;
}

/// A PNG of 8 x 8 pixels with opacity. Its left half is a red thing if `thing`.
void write_half(const fs::path& path, bool thing) {
  test::Png png{.width = 8, .height = 8, .color = 6};
  for (int y = 0; y < 8; ++y) {
    png.rows += '\0';
    for (int x = 0; x < 8; ++x) png.rows += std::string("\xc8\x10\x10", 3) + (thing && x < 4 ? '\xff' : '\0');
  }
  fs::create_directories(path.parent_path());
  test::write_text(path, png.file());
}

Preprocessing small() { return {.size = 8, .crop = 8}; }

}  // namespace

TEST_CASE("a patch is a thing, background or neither by the mean opacity of its pixels") {
  std::vector<uint8_t> opacity(16, 0);
  for (const size_t i : {0, 1, 4}) opacity[i] = 255;         // 3 of 4: a thing
  opacity[2] = 255;                                          // 1 of 4: background
  for (const size_t i : {8, 9}) opacity[i] = 255;            // 2 of 4: neither
  for (const size_t i : {10, 11, 14, 15}) opacity[i] = 191;  // just less than 3/4: neither
  CHECK(patch_labels(grey(4, opacity), 2) == std::vector<int64_t>{1, 0, -1, -1});
  for (const size_t i : {10, 11, 14, 15}) opacity[i] = 192;
  CHECK(patch_labels(grey(4, opacity), 2)[3] == 1);
}

TEST_CASE("patches are scored by the mean of both kinds, so that the larger one cannot win alone") {
  const std::vector<int64_t> labels = {1, 0, 0, 0, 0, 0, 1, 0};
  const PatchScore none = score_patches(std::vector<int64_t>(8, 0), labels);
  CHECK(none.accuracy == doctest::Approx(0.5));
  CHECK(none.miou == doctest::Approx(6.0 / 8 / 2));
  const PatchScore some = score_patches({1, 0, 0, 0, 0, 1, 0, 0}, labels);
  CHECK(some.accuracy == doctest::Approx((0.5 + 5.0 / 6) / 2));
  CHECK(some.miou == doctest::Approx((1.0 / 3 + 5.0 / 7) / 2));
  CHECK(score_patches(labels, labels).miou == doctest::Approx(1));
  CHECK_THROWS_WITH_AS(score_patches({1}, labels), doctest::Contains("1 predictions for 8 labels"), ShapeError);
  const PatchScore majority = patch_majority({zeros({8, 2}), tensor(labels, {8})});
  CHECK(majority.accuracy == none.accuracy);
  CHECK(majority.miou == none.miou);
}

TEST_CASE("patches are learnt in equal numbers, scored without those on a border, and the same every time") {
  const CutOuts images(kDrawings, {.size = 32, .crop = 32}, 4);
  CHECK(images.train_images() == 201);
  CHECK(images.val_images() == 67);
  const PatchSet train = images.train(patch_pixels(4), kNoTick), val = images.val(patch_pixels(4), kNoTick);
  CHECK(train.features.size(1) == 48);
  const std::vector<double> labels = train.labels.to_vector();
  CHECK(2 * std::count(labels.begin(), labels.end(), 1) == std::ssize(labels));
  CHECK(std::ssize(labels) > 5000);
  const auto scored = double(val.labels.size(0));
  CHECK(scored == doctest::Approx(67 * 64 * (1 - images.val_mixed())));
  CHECK(core::sum(val.labels.to(DType::f64)).item() == doctest::Approx(scored * images.val_things()));
  CHECK(images.val_mixed() > 0.1);
  CHECK(images.val_mixed() < 0.4);

  const PatchSet again = CutOuts(kDrawings, {.size = 32, .crop = 32}, 4).train(patch_pixels(4), kNoTick);
  CHECK(test::max_difference(again.features, train.features) == 0);
  CHECK(again.labels.to_vector() == labels);

  // Pixels on random colours say something, tokens that know the answer say everything.
  const double pixels = patch_knn(train, val, {}).accuracy;
  CHECK(pixels > 0.55);
  CHECK(pixels < 0.95);
  const Tensor answer = core::concat({val.labels.to(DType::f32).reshape({-1, 1}), ones({val.labels.size(0), 1})}, 1);
  const PatchSet known{core::l2_normalize(answer).y, val.labels};
  CHECK(patch_knn(known, known, {}).accuracy == 1);
}

TEST_CASE("each image has a background of its own, or the colour that is asked for") {
  const test::TemporaryFolder folder;
  for (const char* name : {"train/1.png", "train/2.png", "train/3.png", "val/4.png"})
    write_half(folder.path() / name, true);
  const auto colours = [&](const CutOuts& images) {
    std::set<std::vector<double>> found;
    const auto keep = [&](const Tensor& x) {
      for (int64_t i = 0; i < x.size(0); ++i)
        found.insert(x.select(0, i).slice(1, 0, 1).slice(2, 7, 8).contiguous().to_vector());
      return core::patchify(x, 4);
    };
    images.train(keep, kNoTick);
    return found;
  };
  CHECK(colours(CutOuts(folder.path(), small(), 4)).size() == 3);
  CHECK(colours(CutOuts(folder.path(), small(), 4, data::Background(255, 255, 255))).size() == 1);
  // On one colour the pixels of a patch give the answer.
  const CutOuts white(folder.path(), small(), 4, data::Background(255, 255, 255));
  CHECK(patch_knn(white.train(patch_pixels(4), kNoTick), white.val(patch_pixels(4), kNoTick), {.k = 1}).accuracy == 1);
}

TEST_CASE("images in one part are divided by image, and data without transparency or without things is refused") {
  const test::TemporaryFolder folder;
  for (int i = 0; i < 8; ++i) write_half(folder.path() / "all" / (std::to_string(i) + ".png"), true);
  const CutOuts images((folder.path() / "all").string(), small(), 4);
  CHECK(images.train_images() == 6);
  CHECK(images.val_images() == 2);
  for (int i = 0; i < 8; ++i) write_half(folder.path() / "empty" / (std::to_string(i) + ".png"), false);
  const auto refuses = [](const std::string& root, int64_t patch, const char* why) {
    CHECK(test::says(test::message_of([&] { CutOuts(root, small(), patch); }), why));
  };
  refuses(folder.path() / "empty", 4, "no patch of 4 pixels in the part 'train'");
  refuses(folder.path() / "all", 8, "shows a thing");  // half of it: neither
  refuses(VITRAIL_SOURCE_DIR "/recipes/assets/emoji", 4, "has transparent pixels");
}

TEST_CASE("the patch measure reads the tokens of patches, not those before them") {
  nn::VitConfig c{.img_size = 8, .patch_size = 4, .num_classes = 0, .embed_dim = 8};
  c.depth = 1;
  c.num_heads = 2;
  c.num_registers = 3;
  nn::VisionTransformer vit(nn::Scope(1), c);
  const Tensor image = Rng(1, "image").normal({2, 3, 8, 8}, 0, 1);
  const Tensor tokens = patch_tokens(vit)(image);
  CHECK(tokens.shape() == Shape{2, 4, 8});
  CHECK(test::max_difference(tokens, vit.forward_tokens(image).value().slice(1, 4, 8)) == 0);
}
