#include "tests/data/load/numbers.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/linear.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/eval/feature_cache.h"

#include <doctest/doctest.h>

using namespace vitrail;
using namespace vitrail::recipes;

namespace {

/// Images of one pixel, whose features [2, 3] are made from it. Counts how often they are computed.
struct Cached {
  explicit Cached(int64_t images, std::vector<int64_t> broken = {}) : numbers(images, std::move(broken)) {
    preprocessing.resize = Preprocessing::Resize::none;
    preprocessing.crop = preprocessing.size = 1;
    preprocessing.mean = {0, 0, 0};
    preprocessing.std = {1, 1, 1};
  }
  FeatureKey key(const std::string& features = "patches") const {
    return feature_key(features, network, preprocessing, numbers);
  }
  FeatureCache open(const std::filesystem::path& path, const FeatureKey& of) {
    const auto feature_of = [&](const Tensor& images) {
      ++computed;
      const Tensor pixels = images.reshape({images.size(0), 1, 3});
      return core::concat({pixels, pixels * 2.0}, 1);
    };
    const auto loader = [&] { return eval_loader(preprocessing, DataConfig(), numbers, 4, bad); };
    return FeatureCache(path, of, numbers.size(), feature_of, loader, [](int64_t, int64_t) {});
  }

  data::Numbers numbers;
  data::BadFiles bad{data::OnError::skip, 0.5};
  nn::Linear network{nn::Scope(3), 3, 2};
  Preprocessing preprocessing;
  int computed = 0;
};

}  // namespace

TEST_CASE("features are computed once, and read back for any images") {
  const test::TemporaryFolder temp;
  const auto path = temp.path() / "features.h5";
  Cached cached(10);
  const FeatureCache first = cached.open(path, cached.key());
  CHECK(cached.computed == 3);
  CHECK(first.size() == 10);
  const FeatureCache second = cached.open(path, cached.key());
  CHECK(cached.computed == 3);
  const Tensor rows = second.rows(std::vector<int64_t>{7, 2, 7});
  CHECK(rows.shape() == Shape{3, 2, 3});
  const auto values = rows.span<float>();
  for (const size_t row : {0, 1, 2}) {
    const float number = row == 1 ? 2 : 7;
    CHECK(values[6 * row] == doctest::Approx(number / 255));
    CHECK(values[6 * row + 3] == doctest::Approx(2 * number / 255));
  }
  CHECK(second.rows({}).shape() == Shape{0, 2, 3});
  CHECK_THROWS_WITH_AS(second.rows(std::vector<int64_t>{10}), doctest::Contains("no features of image 10"), DataError);
}

TEST_CASE("a file of features is refused if they depend on anything else") {
  const test::TemporaryFolder temp;
  const auto path = temp.path() / "features.h5";
  Cached cached(10);
  cached.open(path, cached.key());
  CHECK_THROWS_WITH_AS(cached.open(path, cached.key("block -2")),
                       doctest::Contains("made with other features: 'patches', now 'block -2'"), ConfigError);
  {
    Cached other(10);
    TensorMap weights = nn::state(other.network);
    weights.at("weight") = weights.at("weight") * 1.000001;
    nn::load_state(other.network, weights, "test");
    CHECK_THROWS_WITH_AS(other.open(path, other.key()), doctest::Contains("other weights"), ConfigError);
    CHECK(other.computed == 0);
  }
  {
    Cached other(10);
    other.preprocessing.mean[1] = 0.5;
    CHECK_THROWS_WITH_AS(other.open(path, other.key()), doctest::Contains("other preprocessing"), ConfigError);
  }
  {
    Cached other(11);
    CHECK_THROWS_WITH_AS(other.open(path, other.key()), doctest::Contains("other images: '10 "), ConfigError);
  }
  hdf5::save(temp.path() / "other.h5", [](hdf5::Writer& file) { file.write("x", zeros({1})); });
  CHECK_THROWS_WITH_AS(cached.open(temp.path() / "other.h5", cached.key()),
                       doctest::Contains("holds no cached features"), IoError);
}

TEST_CASE("a broken image has no features") {
  const test::TemporaryFolder temp;
  Cached cached(10, {4});
  const FeatureCache cache = cached.open(temp.path() / "features.h5", cached.key());
  CHECK(!cache.has(4));
  CHECK(cache.has(5));
  CHECK(cache.rows(std::vector<int64_t>{5}).data<float>()[0] == doctest::Approx(5.0 / 255));
  CHECK_THROWS_WITH_AS(cache.rows(std::vector<int64_t>{4}), doctest::Contains("no features of image 4"), DataError);
}
