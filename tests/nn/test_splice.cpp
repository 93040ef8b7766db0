#include "vitrail/core/error.h"
#include "vitrail/nn/splice.h"

#include <doctest/doctest.h>

namespace vitrail::nn {
namespace {

constexpr int64_t kImage = kImagePlace, kNone = kNoLabel;

std::vector<double> row(const Splice& s, int64_t b) { return s.rows[b].to_vector(); }
using Numbers = std::vector<double>;

}  // namespace

TEST_CASE("the tokens of images stand between the words") {
  // Words 1 7 8 | 1 9 2 have the rows 0 .. 5; the three images have 6 .. 7, 8 .. 9 and 10 .. 11; padding has row 12.
  const std::vector<LabelledText> texts = {{{1, kImage, 7, 8}, {kNone, kNone, 7, 8}},
                                           {{kImage, 1, 9, kImage, 2}, {kNone, kNone, kNone, kNone, 2}}};
  const Splice right = splice(texts, {.image_tokens = 2});
  CHECK(right.ids.to_vector() == Numbers{1, 7, 8, 1, 9, 2});
  CHECK(right.images == 3);
  CHECK(right.lengths == std::vector<int64_t>{5, 7});
  CHECK(right.image_ends == std::vector<int64_t>{3, 2});
  CHECK(row(right, 0) == Numbers{0, 6, 7, 1, 2, 12, 12});
  CHECK(row(right, 1) == Numbers{8, 9, 3, 4, 10, 11, 5});
  CHECK(right.predicting.to_vector() == Numbers{2, 3, 7 + 5});  // the tokens before the labelled ones
  CHECK(right.targets.to_vector() == Numbers{7, 8, 2});
  CHECK(right.supervised() == 3);

  const Splice left = splice(texts, {.image_tokens = 2, .pad_side = PadSide::left});
  CHECK(row(left, 0) == Numbers{12, 12, 0, 6, 7, 1, 2});
  CHECK(row(left, 1) == row(right, 1));
  CHECK(left.predicting.to_vector() == Numbers{4, 5, 7 + 5});
  CHECK(left.targets.to_vector() == right.targets.to_vector());
}

TEST_CASE("a sequence is cut after its images have grown, and images keep their order") {
  const std::vector<LabelledText> texts = {{{1, kImage, 7, 8}, {kNone, kNone, 7, 8}},
                                           {{1, 4, kImage, 5, kImage}, {kNone, 4, kNone, 5, kNone}},
                                           {{kImage, 6}, {kNone, 6}}};
  const Splice s = splice(texts, {.image_tokens = 3, .max_length = 4});
  CHECK(s.ids.to_vector() == Numbers{1, 1, 4, 6});
  CHECK(s.images == 4);  // the one that was cut off whole counts: the fourth is the last text's
  CHECK(s.lengths == std::vector<int64_t>{4, 4, 4});
  CHECK(row(s, 0) == Numbers{0, 4, 5, 6});
  CHECK(row(s, 1) == Numbers{1, 2, 7, 8});  // the image itself is cut
  CHECK(row(s, 2) == Numbers{13, 14, 15, 3});
  CHECK(s.targets.to_vector() == Numbers{4, 6});
}

TEST_CASE("texts without images, without labels") {
  const std::vector<LabelledText> texts = {{{1, 5, 6}, {}}, {{1, 2}, {1, 2}}};
  const Splice s = splice(texts, {.image_tokens = 4});
  CHECK(s.images == 0);
  CHECK(s.image_ends == std::vector<int64_t>{0, 0});
  CHECK(row(s, 1) == Numbers{3, 4, 5});
  CHECK(s.targets.to_vector() == Numbers{2});  // nothing predicts the first token
}

TEST_CASE("texts that cannot be spliced") {
  const auto refused = [](const LabelledText& text) { splice(std::vector{text}, {.image_tokens = 2}); };
  CHECK_THROWS_WITH_AS(refused({{}, {}}), doctest::Contains("text 0 has no tokens"), ShapeError);
  CHECK_THROWS_WITH_AS(refused({{1, 2}, {1}}), doctest::Contains("2 ids and 1 labels"), ShapeError);
  CHECK_THROWS_WITH_AS(refused({{1, -3}, {}}), doctest::Contains("id -3; the place of an image is -200"), ShapeError);
  CHECK_THROWS_WITH_AS(refused({{1, kImage}, {1, 5}}), doctest::Contains("label 5 at the place of an image"),
                       ShapeError);
}

}  // namespace vitrail::nn
