#include "tests/data/load/numbers.h"
#include "tests/data/text/letters.h"
#include "vitrail/data/load/conversation_batch.h"
#include "vitrail/data/load/conversation_order.h"
#include "vitrail/data/load/loader.h"

#include <doctest/doctest.h>

#include <set>

namespace vitrail::data {
namespace {

constexpr uint64_t kSeed = 11;
const test::Letters kLetters({"</s>"}, false, 1000);

void pixel(const Image& image, Rng&, std::span<float> out) { out[0] = image.data()[0]; }

/// Conversation i is about image i % images, every fifth about none; its answer has 1 + i % 13 letters.
struct Talk {
  Talk(int64_t count, int64_t images) {
    for (int64_t i = 0; i < count; ++i) {
      const std::string answer(size_t(1 + i % 13), char('a' + i % 26));
      image_of.push_back(i % 5 == 4 ? -1 : i % images);
      samples.push_back({{{Role::user, image_of.back() < 0 ? "Say" : "<image>"}, {Role::assistant, answer}}, {}});
    }
  }
  ConversationIds ids() const { return {kLetters, prompt_template("plain"), samples, {.image_tokens = 4}}; }

  std::vector<Conversation> samples;
  std::vector<int64_t> image_of;
};

/// What a batch says of each conversation: "answer=image".
std::vector<std::string> told(const Batch& batch) {
  std::vector<std::string> out;
  const std::vector<LabelledIds> all = conversations_of(batch);
  REQUIRE(int64_t(all.size()) == batch.size());
  const auto image = batch["image"].span<int64_t>();
  for (size_t i = 0; i < all.size(); ++i) {
    std::string text;
    for (const int64_t label : all[i].labels)
      if (label != kIgnoredLabel && label != '\n') text += kLetters.bytes_of(label);
    CHECK((all[i].images() == 1) == (image[i] >= 0));
    out.push_back(text + "=" + (image[i] < 0 ? "-" : std::to_string(int(batch["images"].data<float>()[image[i]]))));
  }
  return out;
}

std::string expected(const Talk& talk, int64_t i) {
  const int64_t image = talk.image_of[size_t(i)];
  return talk.samples[size_t(i)].turns[1].text + "=" + (image < 0 ? "-" : std::to_string(image));
}

double padding(const Batch& batch) {
  int64_t used = 0;
  for (const int64_t length : batch["lengths"].span<int64_t>()) used += length;
  return 1 - double(used) / double(batch["ids"].numel());
}

}  // namespace

TEST_CASE("conversations travel with their images, on any number of workers and after resuming") {
  const Talk talk(43, 6);
  const Numbers numbers(6);
  const ConversationIds ids = talk.ids();
  for (const Grouping grouping : {Grouping::none, Grouping::length, Grouping::image}) {
    CAPTURE(int(grouping));
    LoaderOptions options{.batch_size = 4, .seed = kSeed, .epochs = 3};
    options.order = ConversationOrder(ids, talk.image_of, grouping, options.batch_size, kSeed);
    const auto run = [&](const LoaderOptions& how) {
      BadFiles bad;
      Loader loader(ConversationBatch({numbers, pixel, {1}, bad}, ids, talk.image_of, '?'), how);
      std::vector<std::string> all;
      while (const auto batch = loader.next()) {
        const std::vector<std::string> texts = told(*batch);
        for (size_t i = 0; i < texts.size(); ++i) CHECK(texts[i] == expected(talk, batch->indices[i]));
        all.insert(all.end(), texts.begin(), texts.end());
        const auto pixels = (*batch)["images"].span<float>();
        CHECK(std::set(pixels.begin(), pixels.end()).size() == pixels.size());  // each image once
      }
      return all;
    };
    const std::vector<std::string> all = run(options);
    CHECK(all.size() == 3 * 43);
    const std::multiset<std::string> first(all.begin(), all.begin() + 43), second(all.begin() + 43, all.begin() + 86);
    CHECK(first == second);
    CHECK(!std::equal(all.begin(), all.begin() + 43, all.begin() + 43));
    LoaderOptions threads = options, later = options;
    threads.workers = 4;
    CHECK(run(threads) == all);
    later.start = {1, 8};
    CHECK(run(later) == std::vector(all.begin() + 43 + 8, all.end()));
  }
}

TEST_CASE("ids and labels are padded behind") {
  const Talk talk(2, 2);
  const Numbers numbers(2);
  const ConversationIds ids = talk.ids();
  BadFiles bad;
  Loader loader(ConversationBatch({numbers, pixel, {1}, bad}, ids, talk.image_of, 7), {.batch_size = 2});
  const Batch batch = *loader.next();
  CHECK(batch["ids"].shape() == Shape{2, 5});
  const auto numbers_of = [](const Tensor& row) {
    const auto values = row.span<int64_t>();
    return std::vector<int64_t>(values.begin(), values.end());
  };
  CHECK(numbers_of(batch["ids"]) == std::vector<int64_t>{1000, -200, 'a', '\n', 7, 1000, -200, 'b', 'b', '\n'});
  CHECK(numbers_of(batch["labels"]) == std::vector<int64_t>{-100, -100, 'a', '\n', -100, -100, -100, 'b', 'b', '\n'});
  CHECK(numbers_of(batch["lengths"]) == std::vector<int64_t>{4, 5});
  CHECK(conversations_of(batch)[0] == ids.get(0));
}

TEST_CASE("a batch names its images, with their pixels or without") {
  const Talk talk(43, 6);
  const Numbers numbers(6);
  const ConversationIds ids = talk.ids();
  BadFiles bad;
  const LoaderOptions options{.batch_size = 8, .seed = kSeed, .shuffle = true};
  Loader with(ConversationBatch({numbers, pixel, {1}, bad}, ids, talk.image_of), options);
  Loader without(ConversationBatch(ids, talk.image_of), options);
  while (const auto batch = with.next()) {
    const auto same = without.next();
    REQUIRE(same);
    CHECK(!same->contains("images"));
    CHECK(same->indices == batch->indices);
    CHECK(conversations_of(*same) == conversations_of(*batch));
    const auto number = (*same)["numbers"].span<int64_t>(), row = (*same)["image"].span<int64_t>();
    REQUIRE(number.size() == (*batch)["images"].span<float>().size());
    for (size_t i = 0; i < number.size(); ++i) {
      CHECK(float(number[i]) == (*batch)["images"].data<float>()[i]);
      CHECK(number[i] == (*batch)["numbers"].data<int64_t>()[i]);
    }
    for (size_t i = 0; i < row.size(); ++i) {
      const int64_t image = talk.image_of[size_t(batch->indices[i])];
      CHECK((row[i] < 0 ? -1 : number[size_t(row[i])]) == image);
    }
  }
  CHECK(!without.next());
}

TEST_CASE("by length: batches with images only or without, of similar lengths") {
  const Talk talk(997, 50);
  const Numbers numbers(50);
  const ConversationIds ids = talk.ids();
  const auto mean_padding = [&](Grouping grouping) {
    BadFiles bad;
    LoaderOptions options{.batch_size = 8, .seed = kSeed};
    options.order = ConversationOrder(ids, talk.image_of, grouping, 8, kSeed);
    Loader loader(ConversationBatch({numbers, pixel, {1}, bad}, ids, talk.image_of), options);
    double sum = 0;
    int64_t batches = 0, mixed = 0;
    while (const auto batch = loader.next()) {
      sum += padding(*batch);
      ++batches;
      std::set<bool> kinds;
      for (const int64_t image : (*batch)["image"].span<int64_t>()) kinds.insert(image >= 0);
      mixed += kinds.size() > 1;
    }
    if (grouping == Grouping::length) CHECK(mixed <= 1);  // what fills no batch of its kind comes last
    return sum / double(batches);
  };
  CHECK(mean_padding(Grouping::length) < 0.05);
  CHECK(mean_padding(Grouping::none) > 0.25);
}

TEST_CASE("by image: the questions about an image follow each other") {
  const Talk talk(400, 40);
  const ConversationIds ids = talk.ids();
  const std::vector<int64_t> order = ConversationOrder(ids, talk.image_of, Grouping::image, 8, kSeed)(0);
  int64_t changes = 0, images = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    const int64_t image = talk.image_of[size_t(order[i])];
    images += image >= 0;
    changes += image >= 0 && (i == 0 || talk.image_of[size_t(order[i - 1])] != image);
  }
  CHECK(images == 320);
  CHECK(changes == 40 - 8);  // images 4, 9, ..., 39 have no questions
  CHECK(std::set(order.begin(), order.end()).size() == 400);
}

TEST_CASE("conversations about a broken image are left out") {
  const Talk talk(12, 3);
  const Numbers numbers(3, {1});
  const ConversationIds ids = talk.ids();
  BadFiles bad(OnError::skip, 0.5);
  Loader loader(ConversationBatch({numbers, pixel, {1}, bad, Broken::left_out}, ids, talk.image_of),
                {.batch_size = 6, .workers = 3});
  std::vector<std::string> rest;
  while (const auto batch = loader.next()) {
    CHECK(batch->indices.size() == 5 - (batch->position == 6));
    for (const std::string& text : told(*batch)) rest.push_back(text);
  }
  std::vector<std::string> good;
  for (int64_t i = 0; i < 12; ++i)
    if (talk.image_of[size_t(i)] != 1) good.push_back(expected(talk, i));
  CHECK(rest == good);
  CHECK(bad.list().size() == 1);

  BadFiles strict;
  Loader failing(ConversationBatch({numbers, pixel, {1}, strict}, ids, talk.image_of), {.batch_size = 6});
  CHECK_THROWS_WITH_AS(failing.next(), doctest::Contains("broken image number 1"), DataError);
}

TEST_CASE("orders and images that do not fit are refused") {
  const Talk talk(12, 3);
  const Numbers numbers(2);
  const ConversationIds ids = talk.ids();
  BadFiles bad;
  CHECK_THROWS_WITH_AS(ConversationBatch({numbers, pixel, {1}, bad}, ids, talk.image_of),
                       doctest::Contains("conversation 2 is about image 2, and there are 2 images"), DataError);
  LoaderOptions options{.batch_size = 2, .repeats = 2};
  options.order = [](int64_t) { return std::vector<int64_t>{0}; };
  CHECK_THROWS_WITH_AS(Loader(ImageBatch(numbers, pixel, {1}, bad), options), doctest::Contains("has no repeats"),
                       ConfigError);
  options.repeats = 1;
  Loader loader(ImageBatch(numbers, pixel, {1}, bad), options);
  CHECK_THROWS_WITH_AS(loader.next(), doctest::Contains("an order of 1 samples, there are 2"), DataError);
  CHECK_THROWS_WITH_AS(ConversationOrder(ids, talk.image_of, Grouping::length, 0, 1),
                       doctest::Contains("batch_size is 0"), ConfigError);
}

}  // namespace vitrail::data
