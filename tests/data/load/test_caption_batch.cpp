#include "tests/data/load/numbers.h"
#include "vitrail/data/load/caption_batch.h"
#include "vitrail/data/load/loader.h"

#include <doctest/doctest.h>

#include <set>

namespace vitrail::data {
namespace {

constexpr uint64_t kSeed = 11;

void pixel(const Image& image, Rng&, std::span<float> out) { out[0] = image.data()[0]; }

/// Caption c of image i is i % 4 + c + 1 times the letter number i.
struct Captioned {
  explicit Captioned(int64_t images) : captions(size_t(images)) {
    for (int64_t i = 0; i < images; ++i)
      for (int64_t c = 0; c <= i % 3; ++c) captions[size_t(i)].emplace_back(size_t(i % 4 + c + 1), char('a' + i));
  }
  std::vector<std::vector<std::string>> captions;
  Tokenizer tokenizer{Vocabulary({})};
};

/// The text between start and end of text in row i.
std::string text_of(const Tokenizer& tokenizer, const Tensor& tokens, int64_t i) {
  const Tensor row = tokens.select(0, i).contiguous();
  const auto ids = row.span<int64_t>();
  CHECK(ids[0] == tokenizer.vocabulary().start_of_text());
  const auto end = std::find(ids.begin(), ids.end(), tokenizer.vocabulary().end_of_text());
  REQUIRE(end != ids.end());
  CHECK(std::all_of(end + 1, ids.end(), [](int64_t id) { return id == 0; }));
  return tokenizer.decode(std::vector<int64_t>(ids.begin() + 1, end));
}

}  // namespace

TEST_CASE("a caption travels with its image, on any number of workers and after resuming") {
  const Numbers numbers(10);
  const Captioned pairs(10);
  const CaptionIds ids(pairs.tokenizer, pairs.captions, 77);
  const auto run = [&](const LoaderOptions& options) {
    BadFiles bad;
    Loader loader(CaptionBatch({numbers, pixel, {1}, bad}, ids, kSeed), options);
    std::vector<std::string> taken;
    while (const auto batch = loader.next()) {
      size_t longest = 0;
      for (int64_t i = 0; i < batch->size(); ++i) {
        const int64_t image = batch->indices[size_t(i)], caption = (*batch)["caption"].data<int64_t>()[i];
        CHECK((*batch)["images"].data<float>()[i] == float(image));
        // This key of the draw must not change, so that older runs resume bit for bit.
        const uint64_t place = Rng::combine(uint64_t(batch->epoch), uint64_t(batch->position + i));
        CHECK(caption == Rng(kSeed, "caption", place).below(image % 3 + 1));
        const std::string& expected = pairs.captions[size_t(image)][size_t(caption)];
        longest = std::max(longest, expected.size() + 2);
        taken.push_back(text_of(pairs.tokenizer, (*batch)["tokens"], i));
        CHECK(taken.back().substr(0, expected.size()) == expected);
      }
      CHECK((*batch)["tokens"].shape() == Shape{batch->size(), int64_t(longest)});
    }
    return taken;
  };
  LoaderOptions options{.batch_size = 4, .seed = kSeed, .shuffle = true, .epochs = 6};
  const auto expected = run(options);
  CHECK(std::set(expected.begin(), expected.end()).size() == 19);  // every caption was drawn
  LoaderOptions threads = options, later = options;
  threads.workers = 4;
  CHECK(run(threads) == expected);
  later.start = {2, 4};
  CHECK(run(later) == std::vector(expected.begin() + 24, expected.end()));
}

TEST_CASE("a broken image is replaced together with its captions") {
  const Numbers numbers(6, {2});
  const Captioned pairs(6);
  const CaptionIds ids(pairs.tokenizer, pairs.captions, 77);
  BadFiles bad(OnError::skip, 0.5);
  Loader loader(CaptionBatch({numbers, pixel, {1}, bad}, ids, kSeed), {.batch_size = 6});
  const Batch batch = *loader.next();
  CHECK(batch.indices == std::vector<int64_t>{0, 1, 3, 3, 4, 5});
  for (int64_t i = 2; i < 4; ++i) CHECK(text_of(pairs.tokenizer, batch["tokens"], i).starts_with("dddd"));
}

TEST_CASE("long captions are cut and still end in the end of text") {
  const Captioned pairs(4);
  const CaptionIds ids(pairs.tokenizer, pairs.captions, 4);
  CHECK(ids.images() == 4);
  CHECK(ids.count(2) == 3);
  const std::vector<int64_t> image = {3}, choice = {0};
  const Tensor tokens = ids.batch(image, choice);
  CHECK(tokens.shape() == Shape{1, 4});
  CHECK(tokens.data<int64_t>()[3] == pairs.tokenizer.vocabulary().end_of_text());
}

TEST_CASE("captions of other images are refused") {
  const Numbers numbers(6);
  const Captioned pairs(5);
  const CaptionIds ids(pairs.tokenizer, pairs.captions, 77);
  BadFiles bad;
  CHECK_THROWS_WITH_AS(CaptionBatch({numbers, pixel, {1}, bad}, ids, kSeed),
                       doctest::Contains("6 images, but captions of 5"), DataError);
}

}  // namespace vitrail::data
