#include "tests/support/close.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/hdf5.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/rng.h"
#include "vitrail/data/load/image_batch.h"
#include "vitrail/recipes/build/preprocessing.h"
#include "vitrail/recipes/eval/attention_maps.h"
#include "vitrail/recipes/eval/collapse.h"
#include "vitrail/recipes/eval/feature_file.h"
#include "vitrail/recipes/eval/image_retrieval.h"
#include "vitrail/recipes/eval/knn.h"
#include "vitrail/recipes/eval/linear_probe.h"
#include "vitrail/recipes/eval/pca.h"
#include "vitrail/recipes/eval/tsne.h"

#include <cmath>

using namespace vitrail;
using namespace vitrail::recipes;

namespace {

const Tick kNoTick = [](int64_t, int64_t) {};

/// count features about each of three far corners, labelled by corner.
FeatureSet clusters(int64_t count, int64_t dim, uint64_t seed) {
  FeatureSet set{Rng(seed, "clusters").normal({3 * count, dim}, 0, 0.1), Tensor::empty({3 * count}, DType::i64)};
  for (int64_t i = 0; i < 3 * count; ++i) {
    set.labels.data<int64_t>()[i] = i % 3;
    set.features.data<float>()[i * dim + i % 3] += 3;
  }
  return set;
}

/// Features that a file or a network gives, of two images of 8 x 8 pixels.
class TwoImages final : public data::Dataset {
 public:
  int64_t size() const override { return 2; }
  const std::vector<std::string>& classes() const override { return classes_; }
  int64_t label(int64_t) const override { return data::kNoLabel; }
  data::Sample get(int64_t) const override { return {data::Image(8, 8), data::kNoLabel}; }
  std::string name(int64_t index) const override { return std::to_string(index); }

 private:
  std::vector<std::string> classes_;
};

}  // namespace

TEST_CASE("features that are not finite are refused before they are used or written") {
  const TwoImages images;
  data::BadFiles bad_files;
  const auto features_by = [&](const FeatureOf& feature_of) {
    data::Loader loader(data::ImageBatch(images, Preprocessing{.size = 8, .crop = 8}.transform(), {3, 8, 8}, bad_files),
                        {.batch_size = 2});
    return extract_features(feature_of, loader, kNoTick).features;
  };
  CHECK(features_by([](const Tensor& x) { return ones({x.size(0), 3}); }).shape() == Shape{2, 3});
  const float nan = std::nanf("");
  CHECK_THROWS_WITH_AS(features_by([&](const Tensor&) {
                         return tensor<float>({1, 2, 3, nan}, {2, 2});
                       }),
                       doctest::Contains("[features] image 1: the result has a NaN or an infinity"), NumericError);

  const test::TemporaryFolder folder;
  const auto file = folder.path() / "f.npy";
  CHECK_THROWS_WITH_AS(write_features(file, {{"a", "b"}, tensor<float>({1, nan}, {2, 1}), "m"}),
                       doctest::Contains("[features] b: "), NumericError);
  CHECK_FALSE(std::filesystem::exists(file));
  CHECK_THROWS_AS(write_features(file, {{"a"}, ones({2, 1}), "m"}), ConfigError);
  const auto index = folder.path() / "f.h5";
  hdf5::save(index, [&](hdf5::Writer& writer) {  // an index of an older version
    writer.write("feature", tensor<float>({1, HUGE_VALF}, {2, 1}));
    writer.write("name", tensor<uint8_t>({'a', 'b'}, {2}));
    writer.write("name_offset", tensor<int64_t>({0, 1, 2}, {3}));
    writer.attribute("", "model", std::string("m"));
  });
  CHECK_THROWS_WITH_AS(read_features(index), doctest::Contains("f.h5, row of b: "), NumericError);
}

TEST_CASE("names of features stay one line each, whatever characters they have") {
  const test::TemporaryFolder folder;
  write_features(folder.path() / "f.npy",
                 {{"a b.png", "a\nb.png", "c\r\\n.png", "\\d.png", "e\\f.png"}, ones({5, 2}), "m"});
  CHECK(test::read_text(folder.path() / "f.txt") == "a b.png\n\\a\\nb.png\n\\c\\r\\\\n.png\n\\\\\\d.png\ne\\f.png\n");
}

TEST_CASE("votes of the nearest neighbours, by hand") {
  const Tensor train = tensor<float>({1, 0, 0, 1, 0.6F, 0.8F}, {3, 2}), labels = tensor<int64_t>({0, 1, 1}, {3});
  const Tensor test = tensor<float>({1, 0, 0, 1}, {2, 2});
  const Tensor two = knn_votes(train, labels, test, 3, {.k = 2, .temperature = 0.5});
  const double e2 = std::exp(2.0), e16 = std::exp(1.6), e12 = std::exp(1.2);
  CHECK(test::relative_error(two, tensor<double>({e2, e12, 0, 0, e2 + e16, 0}, {2, 3})) < 1e-6);
  CHECK(knn_votes(train, labels, test, 3, {.k = 99, .temperature = 0.5}).shape() == Shape{2, 3});  // all of them
  CHECK(knn_top1(train, labels, test, tensor<int64_t>({0, 0}, {2}), 3, {.k = 1}) == 0.5);
  const Tensor cold = knn_votes(train, labels, test, 3, {.k = 3, .temperature = 0.001});  // e^1000 overflows
  CHECK(cold.to_vector()[0] > cold.to_vector()[1]);
  CHECK(cold.to_vector()[4] > cold.to_vector()[3]);
  CHECK(std::isfinite(cold.to_vector()[4]));
  CHECK_THROWS_WITH_AS(knn_votes(train, labels, test, 1, {}), doctest::Contains("label 1 is outside [0, 1)"),
                       ShapeError);
  CHECK_THROWS_AS(knn_votes(train, labels, zeros({2, 3}), 2, {}), ShapeError);
}

TEST_CASE("the probe separates what is separable, whatever the features' number") {
  const FeatureSet train = clusters(40, 5, 1), test = clusters(20, 5, 2);
  const auto results =
      linear_probe({train, train}, test, 3, {.lr = {0.001, 1}, .epochs = 20, .batch_size = 32}, kNoTick);
  REQUIRE(results.size() == 2);
  CHECK(results[1].lr == 1);
  CHECK(best_of(results).top1 == 1);
  CHECK(results[1].top5 == 1);
  const auto alone = linear_probe({train}, test, 3, {.lr = {1}, .epochs = 20, .batch_size = 32}, kNoTick);
  CHECK(alone[0].top1 == 1);  // a probe does not depend on the other learning rates
  CHECK_THROWS_AS(linear_probe({}, test, 3, {}, kNoTick), ShapeError);
}

TEST_CASE("mean average precision, by hand") {
  // Points on a line. The query 0 ranks 1, 2, 3.
  const Tensor features = core::l2_normalize(tensor<float>({1, 0, 1, 0.1F, 1, 0.2F, 1, 0.4F}, {4, 2})).y;
  const FeatureSet set{features, tensor<int64_t>({0, 1, 0, 1}, {4})};
  // At 0, 5.7, 11.3 and 21.8 degrees: 0 ranks 1, 2, 3: 1/2; 1 ranks 2, 0, 3: 1/3; 2 ranks 1, 3, 0: 1/3; 3 ranks 2, 1,
  // 0: 1/2.
  CHECK(retrieval_map(set) == doctest::Approx((0.5 + 1.0 / 3 + 1.0 / 3 + 0.5) / 4));
  CHECK(retrieval_map(normalized(clusters(10, 4, 3))) == doctest::Approx(1));
  CHECK(retrieval_map({features, tensor<int64_t>({0, 1, 2, 3}, {4})}) == 0);
  CHECK(nearest(features.slice(0, 0, 1), features, 2).to_vector() == std::vector<double>{0, 1});
}

TEST_CASE("signs of collapse tell its kinds apart") {
  constexpr int64_t kPrototypes = 16, kRows = 64;
  const double most = std::log(double(kPrototypes));
  const Tensor spread = Rng(1, "features").normal({kRows, 8}, 0, 1);
  const Tensor each = core::one_hot(core::embedding(arange(kPrototypes), Tensor(tensor<int64_t>(
                                                                             [] {
                                                                               std::vector<int64_t> ids(kRows);
                                                                               for (int64_t i = 0; i < kRows; ++i)
                                                                                 ids[size_t(i)] = i % kPrototypes;
                                                                               return ids;
                                                                             }(),
                                                                             {kRows}))),
                                    kPrototypes);
  const CollapseSigns healthy = collapse_signs(each, spread);
  CHECK(healthy.entropy == doctest::Approx(most).epsilon(1e-5));
  CHECK(healthy.kl == doctest::Approx(most).epsilon(1e-5));
  CHECK(healthy.rank > 5);
  CHECK(healthy.rank <= 8);
  CHECK(healthy.feat_std > 0.9);

  const CollapseSigns uniform = collapse_signs(full({kRows, kPrototypes}, 1.0 / kPrototypes), spread);
  CHECK(uniform.entropy == doctest::Approx(most).epsilon(1e-5));
  CHECK(uniform.kl == doctest::Approx(0).epsilon(1e-5));
  const CollapseSigns one =
      collapse_signs(core::one_hot(Tensor(zeros({kRows}, DType::i64)), kPrototypes), ones({kRows, 8}));
  CHECK(one.entropy == doctest::Approx(0));
  CHECK(one.feat_std == doctest::Approx(0));
  CHECK(one.rank == 0);

  const auto warning = [&](const CollapseSigns& signs) {
    CollapseWatch watch(kPrototypes, 3);
    std::string text;
    for (int i = 0; i < 5; ++i) text += watch.add(signs);
    return text;
  };
  CHECK(warning(healthy).empty());
  CHECK(warning(uniform).find("lower teacher.temp") != std::string::npos);
  CHECK(warning(one).find("nearly all images go to one prototype") != std::string::npos);
  CHECK(warning(one).find("raise teacher.temp") == warning(one).rfind("raise teacher.temp"));  // said once
  CollapseWatch patient(kPrototypes, 3);
  CHECK(patient.add(uniform).empty());
}

TEST_CASE("principal components of a stretched cloud are its axes") {
  Tensor cloud = Rng(4, "cloud").normal({500, 6}, 0, 1);
  for (int64_t i = 0; i < 500; ++i) {
    cloud.data<float>()[i * 6 + 2] *= 10;
    cloud.data<float>()[i * 6 + 4] = cloud.data<float>()[i * 6 + 4] * 4 + 7;
  }
  const Pca pca = fit_pca(cloud, 2);
  CHECK(pca.components.to_vector()[2] > 0.99);
  CHECK(pca.components.to_vector()[6 + 4] > 0.98);
  CHECK(pca.variances.to_vector()[0] == doctest::Approx(100).epsilon(0.2));
  const Tensor places = pca.project(cloud);
  CHECK(std::abs(core::mean(places).item()) < 1e-3);
  CHECK(fit_pca(ones({5, 3}), 2).variances.to_vector() == std::vector<double>{0, 0});
  CHECK_THROWS_AS(fit_pca(cloud, 7), ShapeError);
}

TEST_CASE("t-SNE keeps clusters apart, and the same in every run") {
  const FeatureSet set = clusters(20, 6, 5);
  const Tensor a = tsne(set.features, {.perplexity = 10, .iterations = 300}, kNoTick);
  CHECK(test::max_difference(a, tsne(set.features, {.perplexity = 10, .iterations = 300}, kNoTick)) == 0);
  const Tensor nearest_two = core::topk(core::affine(core::sum(core::mul(core::sub(a.unsqueeze(0), a.unsqueeze(1)),
                                                                         core::sub(a.unsqueeze(0), a.unsqueeze(1))),
                                                               {2}),
                                                     -1),
                                        2)
                                 .indices;
  int64_t kept = 0;
  for (int64_t i = 0; i < 60; ++i) kept += nearest_two.data<int64_t>()[2 * i + 1] % 3 == i % 3;
  CHECK(kept >= 58);  // a point may be left behind on its way
  CHECK_THROWS_AS(tsne(zeros({3, 2}), {}, kNoTick), ShapeError);
}

TEST_CASE("masks keep the patches with most of the attention") {
  const PatchMap map{2, 2, {0.1, 0.5, 0.15, 0.25}};
  CHECK(keep_mass(map, 0.6).values == std::vector<double>{0, 1, 0, 1});
  CHECK(keep_mass(map, 1).values == std::vector<double>{1, 1, 1, 1});
  CHECK(stretched(map).values[1] == 1);
  CHECK(stretched(map).values[0] == 0);
  const data::Image image(4, 4);
  CHECK(overlay_heat(image, stretched(map), 1).at(0, 2)[0] == 253);  // the hottest patch is yellow
  CHECK(overlay_mask(image, keep_mass(map, 0.6)).size() == image.size());

  nn::VisionTransformer model(nn::Scope(1),
                              {.img_size = 8, .patch_size = 4, .embed_dim = 8, .depth = 1, .num_heads = 2});
  const auto maps = last_attention(model, ones({1, 3, 8, 12}));
  REQUIRE(maps.size() == 2);
  CHECK(maps[0].rows == 2);
  CHECK(maps[0].columns == 3);
  double sum = 0;
  for (const double v : maps[0].values) sum += v;
  CHECK(sum < 1);  // the class token looks at itself too
  CHECK(sum > 0.5);

  nn::VisionTransformer pooled(nn::Scope(1), {.img_size = 8,
                                              .patch_size = 4,
                                              .embed_dim = 8,
                                              .depth = 1,
                                              .num_heads = 2,
                                              .class_token = false,
                                              .pool = nn::Pool::avg});
  const auto means = last_attention(pooled, ones({1, 3, 8, 8}));
  REQUIRE(means.size() == 2);
  sum = 0;
  for (const double v : means[1].values) sum += v;
  CHECK(sum == doctest::Approx(1));  // of each patch, so of their mean too
}
