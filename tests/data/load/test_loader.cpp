#include "tests/data/load/numbers.h"
#include "vitrail/core/error.h"
#include "vitrail/core/memory.h"
#include "vitrail/data/load/image_batch.h"
#include "vitrail/data/load/loader.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>
#include <vector>

namespace vitrail::data {
namespace {

/// The pixel, and a random number.
void pixel_and_noise(const Image& image, Rng& rng, std::span<float> out) {
  out[0] = image.data()[0];
  out[1] = float(rng.uniform());
}

ImageBatch pixels(const Dataset& dataset, BadFiles& bad) { return {dataset, pixel_and_noise, {2}, bad}; }

LoaderOptions options_for(int64_t batch_size) {
  LoaderOptions options;
  options.batch_size = batch_size;
  options.seed = 11;
  options.shuffle = true;
  return options;
}

struct Taken {
  std::vector<double> images, labels;
  std::vector<int64_t> indices, sizes, epochs, positions;
  bool operator==(const Taken&) const = default;
};

Taken take_all(Loader& loader) {
  Taken out;
  while (const std::optional<Batch> batch = loader.next()) {
    for (double v : (*batch)["images"].to_vector()) out.images.push_back(v);
    for (double v : (*batch)["labels"].to_vector()) out.labels.push_back(v);
    out.indices.insert(out.indices.end(), batch->indices.begin(), batch->indices.end());
    out.sizes.push_back(batch->size());
    out.epochs.push_back(batch->epoch);
    out.positions.push_back(batch->position);
  }
  return out;
}

Taken take_all(const Dataset& dataset, const LoaderOptions& options) {
  BadFiles bad;
  Loader loader(pixels(dataset, bad), options);
  return take_all(loader);
}

}  // namespace

TEST_CASE("batches do not depend on workers or prefetch") {
  const Numbers numbers(103);
  LoaderOptions options = options_for(10);
  options.epochs = 3;
  const Taken expected = take_all(numbers, options);
  CHECK(expected.indices.size() == 3 * 103);
  CHECK(expected.sizes.size() == 3 * 11);
  CHECK(expected.sizes[10] == 3);
  for (size_t i = 0; i < expected.indices.size(); ++i) {
    CHECK(expected.images[2 * i] == double(expected.indices[i]));
    CHECK(expected.labels[i] == double(expected.indices[i] % 7));
  }
  for (const int workers : {1, 2, 4}) {
    for (const int prefetch : {1, 3, 40}) {
      options.workers = workers;
      options.prefetch = prefetch;
      CAPTURE(workers);
      CAPTURE(prefetch);
      CHECK(take_all(numbers, options) == expected);
    }
  }
}

TEST_CASE("every epoch has an order and random numbers of its own, and every image once") {
  const Numbers numbers(50);
  LoaderOptions options = options_for(50);
  options.epochs = 2;
  const Taken both = take_all(numbers, options);
  std::vector<int64_t> first(both.indices.begin(), both.indices.begin() + 50);
  std::vector<int64_t> second(both.indices.begin() + 50, both.indices.end());
  CHECK(first != second);
  const auto place = [&](const std::vector<int64_t>& order) {
    return std::find(order.begin(), order.end(), 17) - order.begin();
  };
  CHECK(both.images[size_t(2 * place(first) + 1)] != both.images[size_t(100 + 2 * place(second) + 1)]);
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  CHECK(first == second);
  options.shuffle = false;
  CHECK(take_all(numbers, options).indices[3] == 3);
}

TEST_CASE("a loader started in the middle goes on exactly") {
  const Numbers numbers(47);
  for (const bool drop_last : {false, true}) {
    LoaderOptions options = options_for(5);
    options.epochs = 3;
    options.drop_last = drop_last;
    options.workers = 2;
    BadFiles bad;
    Loader straight(pixels(numbers, bad), options);
    CHECK(straight.batches_per_epoch() == (drop_last ? 9 : 10));
    LoaderOptions rest = options;
    for (int batches_before = 0; batches_before < 3 * straight.batches_per_epoch(); ++batches_before) {
      Loader resumed(pixels(numbers, bad), rest);
      const std::optional<Batch> a = straight.next(), b = resumed.next();
      REQUIRE(a);
      REQUIRE(b);
      CHECK(a->indices == b->indices);
      CHECK((*a)["images"].to_vector() == (*b)["images"].to_vector());
      CHECK(a->epoch == b->epoch);
      CHECK(a->position == b->position);
      rest.start = {a->epoch, a->position + a->size()};  // at the end of an epoch: the start of the next one
    }
    CHECK_FALSE(straight.next());
    CHECK_FALSE(Loader(pixels(numbers, bad), rest).next());
  }
}

TEST_CASE("repeats of an image have random numbers of their own, also after resuming between them") {
  const Numbers numbers(250);
  LoaderOptions options = options_for(4);  // not a multiple of the repeats
  options.repeats = 3;
  options.drop_last = true;
  const Taken all = take_all(numbers, options);
  REQUIRE(all.indices.size() == 248);
  for (size_t i = 0; i + 2 < all.indices.size(); i += 3) {
    CHECK(all.indices[i] == all.indices[i + 2]);
    CHECK(all.images[2 * i + 1] != all.images[2 * i + 3]);
    CHECK(all.images[2 * i + 3] != all.images[2 * i + 5]);
  }
  options.start = {0, 40};
  options.workers = 2;
  const Taken rest = take_all(numbers, options);
  CHECK(rest.indices == std::vector<int64_t>(all.indices.begin() + 40, all.indices.end()));
  CHECK(rest.images == std::vector<double>(all.images.begin() + 80, all.images.end()));
}

TEST_CASE("views of a shape are one tensor, crop-major, the same with any workers and after resuming") {
  const Numbers numbers(10);
  LoaderOptions options = options_for(4);
  const std::vector<Views> views = {{{3, 1, 1}, 2, "large"}, {{1}, 3, "small"}};
  /// Fills each view with 10 * image + view, and adds noise to its last value.
  const auto views_and_noise = [](const Image& image, Rng& rng, std::span<const std::span<float>> out) {
    REQUIRE(out.size() == 5);
    for (size_t v = 0; v < out.size(); ++v) {
      std::fill(out[v].begin(), out[v].end(), float(10 * image.data()[0] + v));
      out[v].back() += float(0.5 * rng.uniform());
    }
  };
  const auto run = [&](const LoaderOptions& o) {
    BadFiles bad;
    Loader loader(ImageBatch(numbers, views_and_noise, views, bad), o);
    std::vector<std::vector<double>> taken;
    while (const std::optional<Batch> batch = loader.next()) {
      const int64_t images = batch->size();
      const Tensor &large = (*batch)["large"], &small = (*batch)["small"];
      CHECK(batch->tensors.size() == 3);  // and the labels
      CHECK(large.shape() == Shape{2 * images, 3, 1, 1});
      CHECK(small.shape() == Shape{3 * images, 1});
      for (int64_t i = 0; i < images; ++i) {
        for (int64_t v = 0; v < 2; ++v)
          CHECK(large.span<float>()[size_t(3 * (v * images + i))] == float(10 * batch->indices[size_t(i)] + v));
        for (int64_t v = 0; v < 3; ++v)
          CHECK(std::floor(small.span<float>()[size_t(v * images + i)]) ==
                double(10 * batch->indices[size_t(i)] + v + 2));
      }
      for (const Tensor& made : {large, small}) taken.push_back(made.to_vector());
    }
    return taken;
  };
  const auto expected = run(options);
  CHECK(expected.size() == 6);
  LoaderOptions threads = options, later = options;
  threads.workers = 3;
  CHECK(run(threads) == expected);
  later.start = {0, 4};
  CHECK(run(later) == std::vector(expected.begin() + 2, expected.end()));

  BadFiles bad;
  CHECK_THROWS_WITH_AS(ImageBatch(numbers, views_and_noise, {}, bad), doctest::Contains("views is empty"), ConfigError);
  CHECK_THROWS_WITH_AS(ImageBatch(numbers, views_and_noise, {{{1}}, {{2}}}, bad),
                       doctest::Contains("two tensors have the name 'images'"), ConfigError);
  CHECK_THROWS_WITH_AS(ImageBatch(numbers, views_and_noise, {{{1}, 0}}, bad), doctest::Contains("0 views of shape [1]"),
                       ConfigError);
}

TEST_CASE("a broken image is replaced by the next good one, with its label, and noted once") {
  const std::vector<int64_t> broken = {0, 13, 14, 99};
  const Numbers numbers(100, broken);
  LoaderOptions options = options_for(8);
  options.epochs = 4;
  Taken expected;
  for (const int workers : {1, 4}) {
    options.workers = workers;
    BadFiles bad(OnError::skip, 0.05);
    Loader loader(pixels(numbers, bad), options);
    const Taken taken = take_all(loader);
    CHECK(taken.indices.size() == 400);
    CHECK(std::count(taken.indices.begin(), taken.indices.end(), 15) == 12);  // itself, 13 and 14, in four epochs
    CHECK(std::count(taken.indices.begin(), taken.indices.end(), 1) == 12);   // itself, 99 and 0
    for (size_t i = 0; i < taken.indices.size(); ++i) CHECK(taken.labels[i] == double(taken.indices[i] % 7));
    const auto list = bad.list();
    REQUIRE(list.size() == 4);
    CHECK(list[0] == BadFile{"number 0", "[image] cannot be decoded"});
    if (workers == 1) expected = taken;
    CHECK(taken == expected);
  }
}

TEST_CASE("a broken image of an evaluation is left out, and noted") {
  const Numbers numbers(20, {0, 3, 8, 9, 10, 11});
  for (const int workers : {1, 3}) {
    LoaderOptions options = options_for(4);
    options.shuffle = false;
    options.workers = workers;
    BadFiles bad(OnError::skip, 0.5);
    Loader loader(ImageBatch(numbers, pixel_and_noise, {2}, bad, Broken::left_out), options);
    const Taken taken = take_all(loader);
    CHECK(taken.indices == std::vector<int64_t>{1, 2, 4, 5, 6, 7, 12, 13, 14, 15, 16, 17, 18, 19});
    REQUIRE(taken.labels.size() == taken.indices.size());
    for (size_t i = 0; i < taken.indices.size(); ++i) {
      CHECK(taken.labels[i] == double(taken.indices[i] % 7));
      CHECK(taken.images[2 * i] == double(taken.indices[i]));
    }
    CHECK(bad.list().size() == 6);
  }
  BadFiles strict, careless(OnError::skip, 1);
  Loader refused(ImageBatch(numbers, pixel_and_noise, {2}, strict, Broken::left_out), options_for(4));
  CHECK_THROWS_WITH_AS(take_all(refused), doctest::Contains("broken image number "), DataError);
  const Numbers none(2, {0, 1});
  Loader empty(ImageBatch(none, pixel_and_noise, {2}, careless, Broken::left_out), options_for(1));
  CHECK_FALSE(empty.next());
}

TEST_CASE("an image that is left out takes all its views with it") {
  const Numbers numbers(3, {1});
  BadFiles bad(OnError::skip, 1);
  const auto views = [](const Image& image, Rng&, std::span<const std::span<float>> out) {
    for (size_t v = 0; v < out.size(); ++v) out[v][0] = float(image.data()[0]) + 10 * float(v);
  };
  LoaderOptions options = options_for(3);
  options.shuffle = false;
  Loader loader(ImageBatch(numbers, views, {Views{.shape = {1}, .count = 2}}, bad, Broken::left_out), options);
  const auto batch = loader.next();
  REQUIRE(batch);
  CHECK((*batch)["images"].to_vector() == std::vector<double>{0, 2, 10, 12});
  CHECK((*batch)["labels"].to_vector() == std::vector<double>{0, 2});
}

TEST_CASE("too many broken images end the run, one does by default") {
  LoaderOptions options = options_for(8);
  options.epochs = 2;
  const auto run = [&](const Dataset& dataset, BadFiles& bad) {
    Loader loader(pixels(dataset, bad), options);
    take_all(loader);
  };
  const Numbers numbers(100, {5, 6});
  BadFiles strict, tolerant(OnError::skip, 0.01), careless(OnError::skip, 1);
  CHECK_THROWS_WITH_AS(run(numbers, strict), doctest::Contains("broken image number "), DataError);
  CHECK_THROWS_WITH_AS(run(numbers, tolerant), doctest::Contains("more of the 100 images are broken than data.max_bad"),
                       DataError);
  CHECK_THROWS_WITH_AS(run(Numbers(2, {0, 1}), careless), doctest::Contains("all 2 images are broken"), DataError);
}

TEST_CASE("broken images are counted set by set, in one list") {
  const Numbers large(200, {1, 2}), small(100, {3});
  BadFiles bad(OnError::skip, 0.01);
  for (const Dataset* set : {static_cast<const Dataset*>(&large), static_cast<const Dataset*>(&small)}) {
    Loader loader(pixels(*set, bad), options_for(10));
    CHECK(take_all(loader).indices.size() == size_t(set->size()));  // one broken image in a hundred in each set
  }
  CHECK(bad.list().size() == 3);
}

TEST_CASE("a loader that finds no memory for a batch says so, each time it is asked") {
  const Numbers numbers(64);
  LoaderOptions options = options_for(8);
  options.workers = 3;
  BadFiles bad;
  memory::set_limit(memory::reserved_bytes() + (1 << 20));
  {
    Loader loader(ImageBatch(numbers, pixel_and_noise, {3, 2048, 2048}, bad), options);
    for (int i = 0; i < 2; ++i) CHECK_THROWS_AS(loader.next(), OutOfMemory);
  }
  memory::set_limit(0);
}

TEST_CASE("what a transform throws reaches the consumer, and the threads end") {
  const Numbers numbers(64);
  LoaderOptions options = options_for(8);
  options.workers = 3;
  BadFiles bad;
  const auto faulty = [](const Image& image, Rng&, std::span<float>) {
    check<ShapeError>(image.data()[0] != 20, "crop", "does not fit");
  };
  Loader loader(ImageBatch(numbers, faulty, {2}, bad), options);
  CHECK_THROWS_WITH_AS(take_all(loader), doctest::Contains("[crop] does not fit"), ShapeError);
  CHECK_THROWS_AS(loader.next(), ShapeError);
}

TEST_CASE("a loader may be dropped at any moment") {
  const Numbers numbers(1000);
  LoaderOptions options = options_for(7);
  options.workers = 4;
  BadFiles bad;
  for (int taken = 0; taken < 5; ++taken) {
    Loader loader(pixels(numbers, bad), options);
    for (int i = 0; i < taken; ++i) CHECK(loader.next());
  }
}

TEST_CASE("buffers come from the pool again and again") {
  const Numbers numbers(400);
  LoaderOptions options = options_for(10);
  options.epochs = 3;
  BadFiles bad;
  Loader loader(pixels(numbers, bad), options);
  for (int i = 0; i < 10; ++i) {
    const auto held = loader.next();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the workers run as far ahead as they may
  }
  const int64_t before = memory::system_allocations();
  while (loader.next()) {
  }
  CHECK(memory::system_allocations() == before);
}

TEST_CASE("options that cannot be used are refused") {
  const Numbers numbers(10);
  BadFiles bad;
  const auto make = [&](auto&& change) {
    LoaderOptions options = options_for(4);
    change(options);
    Loader loader(pixels(numbers, bad), options);
  };
  CHECK_THROWS_WITH_AS(make([](LoaderOptions& o) { o.batch_size = 0; }), doctest::Contains("batch_size is 0"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(make([](LoaderOptions& o) { o.workers = 0; }), doctest::Contains("workers is 0"), ConfigError);
  CHECK_THROWS_AS(make([](LoaderOptions& o) { o.start.position = -1; }), ConfigError);
  CHECK_THROWS_WITH_AS(make([](LoaderOptions& o) {
                         o.batch_size = 11;
                         o.drop_last = true;
                       }),
                       doctest::Contains("10 samples make no batch of 11"), DataError);
}

TEST_CASE("the shards of a step are its samples, whoever takes them") {
  const Numbers dataset(103);
  LoaderOptions options = options_for(24);
  options.drop_last = true;
  options.epochs = 3;
  const Taken whole = take_all(dataset, options);
  for (const int64_t ranks : {1, 2, 4}) {
    std::vector<std::vector<int64_t>> of_rank;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      options.shards = {.all = 4, .first = rank * 4 / ranks, .count = 4 / ranks};
      const Taken mine = take_all(dataset, options);
      CHECK(mine.sizes == std::vector<int64_t>(size_t(12 * 4 / ranks), 6));  // 4 steps of 24 in each epoch
      of_rank.push_back(mine.indices);
    }
    std::vector<int64_t> joined;
    for (size_t step = 0; step < 12; ++step)
      for (const auto& indices : of_rank) {
        const size_t count = 24 / size_t(ranks);
        joined.insert(joined.end(), indices.begin() + std::ptrdiff_t(step * count),
                      indices.begin() + std::ptrdiff_t((step + 1) * count));
      }
    CHECK(joined == whole.indices);
  }
  options.shards = {.all = 4, .first = 2, .count = 2};
  options.start = {1, 48};
  const Taken late = take_all(dataset, options);
  CHECK(late.epochs.front() == 1);
  CHECK(late.positions.front() == 48 + 12);
  CHECK(late.sizes.size() == (2 + 4) * 2);
  options.shards = {.all = 5, .first = 0, .count = 5};
  CHECK_THROWS_WITH_AS(take_all(dataset, options), doctest::Contains("5 shards do not divide a batch of 24"),
                       ConfigError);
}

}  // namespace vitrail::data
