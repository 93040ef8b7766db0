#include "vitrail/core/error.h"
#include "vitrail/core/memory.h"
#include "vitrail/data/load/loader.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

namespace vitrail::data {
namespace {

/// n images of 1 x 1; image i is the colour {i, i, i} and has label i % 7. Those in `broken` cannot be read.
class Numbers final : public Dataset {
 public:
  explicit Numbers(int64_t n, std::vector<int64_t> broken = {}) : n_(n), broken_(std::move(broken)) {}
  int64_t size() const override { return n_; }
  const std::vector<std::string>& classes() const override { return classes_; }
  int64_t label(int64_t index) const override { return index % 7; }
  std::string name(int64_t index) const override { return "number " + std::to_string(index); }
  Bytes encoded(int64_t) const override { return {}; }
  Sample get(int64_t index) const override {
    if (std::find(broken_.begin(), broken_.end(), index) != broken_.end()) throw IoError("[image] cannot be decoded");
    Image image(1, 1);
    std::fill_n(image.data(), 3, uint8_t(index));
    return {std::move(image), label(index)};
  }

 private:
  int64_t n_;
  std::vector<int64_t> broken_;
  std::vector<std::string> classes_ = {"0", "1", "2", "3", "4", "5", "6"};
};

/// The pixel, and a random number.
void pixel_and_noise(const Image& image, Rng& rng, std::span<float> out) {
  out[0] = image.data()[0];
  out[1] = float(rng.uniform());
}

LoaderOptions options_for(int64_t batch_size) {
  LoaderOptions options;
  options.batch_size = batch_size;
  options.views = {{{2}}};
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
    for (double v : batch->images.to_vector()) out.images.push_back(v);
    for (double v : batch->labels.to_vector()) out.labels.push_back(v);
    out.indices.insert(out.indices.end(), batch->indices.begin(), batch->indices.end());
    out.sizes.push_back(batch->labels.size(0));
    out.epochs.push_back(batch->epoch);
    out.positions.push_back(batch->position);
  }
  return out;
}

Taken take_all(const Dataset& dataset, const LoaderOptions& options) {
  BadFiles bad;
  Loader loader(dataset, pixel_and_noise, options, bad);
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
    Loader straight(numbers, pixel_and_noise, options, bad);
    CHECK(straight.batches_per_epoch() == (drop_last ? 9 : 10));
    for (int batches_before = 0; batches_before < 3 * straight.batches_per_epoch(); ++batches_before) {
      LoaderOptions rest = options;
      rest.start = straight.state();
      Loader resumed(numbers, pixel_and_noise, rest, bad);
      const std::optional<Batch> a = straight.next(), b = resumed.next();
      REQUIRE(a);
      REQUIRE(b);
      CHECK(a->indices == b->indices);
      CHECK(a->images.to_vector() == b->images.to_vector());
      CHECK(a->epoch == b->epoch);
      CHECK(a->position == b->position);
      CHECK(straight.state() == resumed.state());
    }
    CHECK_FALSE(straight.next());
    CHECK(straight.state() == LoaderState{3, 0});
  }
}

TEST_CASE("repeats of an image have random numbers of their own, also after resuming between them") {
  const Numbers numbers(250);
  LoaderOptions options = options_for(4);  // no multiple of the repeats
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
  options.views = {{{3, 1, 1}, 2}, {{1}, 3}};
  /// Everywhere 10 times the image's number plus the view's, but for noise in the last value of each.
  const auto views_and_noise = [](const Image& image, Rng& rng, std::span<const std::span<float>> out) {
    REQUIRE(out.size() == 5);
    for (size_t v = 0; v < out.size(); ++v) {
      std::fill(out[v].begin(), out[v].end(), float(10 * image.data()[0] + v));
      out[v].back() += float(0.5 * rng.uniform());
    }
  };
  const auto run = [&](const LoaderOptions& o) {
    BadFiles bad;
    Loader loader(numbers, views_and_noise, o, bad);
    std::vector<std::vector<double>> taken;
    while (const std::optional<Batch> batch = loader.next()) {
      const int64_t images = batch->labels.size(0);
      REQUIRE(batch->views.size() == 2);
      CHECK(batch->images.data<float>() == batch->views[0].data<float>());
      CHECK(batch->views[0].shape() == Shape{2 * images, 3, 1, 1});
      CHECK(batch->views[1].shape() == Shape{3 * images, 1});
      for (int64_t i = 0; i < images; ++i) {
        for (int64_t v = 0; v < 2; ++v)
          CHECK(batch->views[0].span<float>()[size_t(3 * (v * images + i))] ==
                float(10 * batch->indices[size_t(i)] + v));
        for (int64_t v = 0; v < 3; ++v)
          CHECK(std::floor(batch->views[1].span<float>()[size_t(v * images + i)]) ==
                double(10 * batch->indices[size_t(i)] + v + 2));
      }
      for (const Tensor& views : batch->views) taken.push_back(views.to_vector());
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
  CHECK_THROWS_WITH_AS(Loader(numbers, pixel_and_noise, options, bad),
                       doctest::Contains("a transform of one view cannot make 2 views of 2 shapes"), ConfigError);
  options.views = {};
  CHECK_THROWS_WITH_AS(Loader(numbers, views_and_noise, options, bad), doctest::Contains("views is empty"),
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
    Loader loader(numbers, pixel_and_noise, options, bad);
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

TEST_CASE("too many broken images end the run, one does by default") {
  LoaderOptions options = options_for(8);
  options.epochs = 2;
  const auto run = [&](const Dataset& dataset, BadFiles& bad) {
    Loader loader(dataset, pixel_and_noise, options, bad);
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
    Loader loader(*set, pixel_and_noise, options_for(10), bad);
    CHECK(take_all(loader).indices.size() == size_t(set->size()));  // one in a hundred of either
  }
  CHECK(bad.list().size() == 3);
}

TEST_CASE("a loader that finds no memory for a batch says so, each time it is asked") {
  const Numbers numbers(64);
  LoaderOptions options = options_for(8);
  options.views = {{{3, 2048, 2048}}};
  options.workers = 3;
  BadFiles bad;
  memory::set_limit(memory::reserved_bytes() + (1 << 20));
  {
    Loader loader(numbers, pixel_and_noise, options, bad);
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
  Loader loader(numbers, faulty, options, bad);
  CHECK_THROWS_WITH_AS(take_all(loader), doctest::Contains("[crop] does not fit"), ShapeError);
  CHECK_THROWS_AS(loader.next(), ShapeError);
}

TEST_CASE("a loader may be dropped at any moment") {
  const Numbers numbers(1000);
  LoaderOptions options = options_for(7);
  options.workers = 4;
  BadFiles bad;
  for (int taken = 0; taken < 5; ++taken) {
    Loader loader(numbers, pixel_and_noise, options, bad);
    for (int i = 0; i < taken; ++i) CHECK(loader.next());
  }
}

TEST_CASE("the share of time spent waiting tells a slow loader from a slow consumer") {
  const Numbers numbers(40);
  LoaderOptions options = options_for(4);
  options.views = {{{1}}};
  BadFiles bad;
  const auto slow = [](const Image&, Rng&, std::span<float>) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  Loader loader(numbers, slow, options, bad);
  loader.take_wait_share();
  while (loader.next()) {
  }
  CHECK(loader.take_wait_share() > 0.5);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(loader.take_wait_share() == 0);
}

TEST_CASE("buffers come from the pool again and again") {
  const Numbers numbers(400);
  LoaderOptions options = options_for(10);
  options.epochs = 3;
  BadFiles bad;
  Loader loader(numbers, pixel_and_noise, options, bad);
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
    Loader loader(numbers, pixel_and_noise, options, bad);
  };
  CHECK_THROWS_WITH_AS(make([](LoaderOptions& o) { o.batch_size = 0; }), doctest::Contains("batch_size is 0"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(make([](LoaderOptions& o) { o.workers = 0; }), doctest::Contains("workers is 0"), ConfigError);
  CHECK_THROWS_AS(make([](LoaderOptions& o) { o.start.position = -1; }), ConfigError);
  CHECK_THROWS_WITH_AS(make([](LoaderOptions& o) {
                         o.batch_size = 11;
                         o.drop_last = true;
                       }),
                       doctest::Contains("10 images make no batch of 11"), DataError);
}

}  // namespace vitrail::data
