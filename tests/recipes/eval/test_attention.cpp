#include "tests/support/close.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/rng.h"
#include "vitrail/recipes/eval/attention_distance.h"
#include "vitrail/recipes/eval/patch_norms.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace vitrail;
using namespace vitrail::recipes;

namespace {

nn::VitConfig tiny() {
  nn::VitConfig c{.img_size = 16, .patch_size = 4, .num_classes = 3, .embed_dim = 8};
  c.depth = c.num_heads = 2;
  c.num_registers = 1;
  return c;
}
Tensor image(int64_t height, int64_t width, uint64_t seed = 1) {
  return Rng(seed, "image").normal({1, 3, height, width}, 0, 1);
}
void set(nn::ModuleBase& model, const std::string& name, double value) {
  model.parameter(name).update([&](Tensor& t) { t.fill_(value); });
}

}  // namespace

TEST_CASE("the mean attention distance is the definition's, over the patches of all images") {
  nn::VisionTransformer model(nn::Scope(3), tiny());
  for (nn::Parameter* p : model.parameters())
    p->update([&](Tensor& t) { t.copy_(Rng(7, p->name()).normal(t.shape(), 0, 0.5)); });
  const Tensor images[] = {image(16, 16), image(8, 24, 2)};
  AttentionDistance distance(model);
  for (const Tensor& x : images) distance.add(x);

  std::vector<double> sums(4);
  double uniform = 0;
  for (const Tensor& x : images) {
    const int64_t rows = x.size(2) / 4, columns = x.size(3) / 4, patches = rows * columns, tokens = 2 + patches;
    const auto pixels = [&](int64_t a, int64_t b) {
      const int64_t down = a / columns - b / columns, across = a % columns - b % columns;
      return 4 * std::hypot(double(down), double(across));
    };
    for (int64_t i = 0; i < patches; ++i)
      for (int64_t j = 0; j < patches; ++j) uniform += pixels(i, j) / double(patches);
    model.for_each_self_attention(x, [&](int64_t block, const Tensor& weights) {
      const std::vector<double> w = weights.to_vector();
      for (int64_t head = 0; head < 2; ++head)
        for (int64_t i = 0; i < patches; ++i) {
          double sum = 0, total = 0;
          for (int64_t j = 0; j < patches; ++j) {
            const double weight = w[size_t((head * tokens + 2 + i) * tokens + 2 + j)];
            sum += weight * pixels(i, j);
            total += weight;
          }
          sums[size_t(block * 2 + head)] += sum / total;
        }
    });
  }
  const double all = 16 + 12;
  for (int64_t block = 0; block < 2; ++block) {
    for (int64_t head = 0; head < 2; ++head)
      CHECK(distance.of(block, head) == doctest::Approx(sums[size_t(block * 2 + head)] / all).epsilon(1e-6));
    CHECK(distance.of(block) == doctest::Approx((distance.of(block, 0) + distance.of(block, 1)) / 2));
  }
  CHECK(distance.uniform() == doctest::Approx(uniform / all));
  CHECK(std::abs(distance.of(1, 0) - distance.uniform()) > 0.01);
}

TEST_CASE("attention without a preference has the uniform distance, and windows shorten it") {
  nn::VitConfig config = tiny();
  config.window = 2;
  config.global_every = 2;
  nn::VisionTransformer model(nn::Scope(3), config);
  for (const char* block : {"blocks.0", "blocks.1"}) set(model, std::string(block) + ".attn.qkv.weight", 0);
  AttentionDistance distance(model);
  distance.add(image(16, 16));
  CHECK(distance.of(1, 0) == doctest::Approx(distance.uniform()));
  CHECK(distance.of(0, 0) == doctest::Approx((0 + 4 + 4 + 4 * std::sqrt(2)) / 4));  // four patches of 4 pixels
}

TEST_CASE("attention that is not finite has no distance") {
  nn::VisionTransformer model(nn::Scope(3), tiny());
  set(model, "blocks.1.attn.qkv.weight", std::numeric_limits<double>::quiet_NaN());
  AttentionDistance distance(model);
  CHECK_THROWS_WITH_AS(distance.add(image(16, 16)), doctest::Contains("block 1, head 0"), NumericError);
}

TEST_CASE("norms are those after the last block, before the final norm") {
  nn::VisionTransformer model(nn::Scope(3), tiny());
  const Tensor x = image(16, 8);
  const Tensor tokens = model.forward_blocks(x).value().select(0, 0);  // [2 + 8, 8]
  const TokenNorms norms = token_norms(model, x);
  CHECK(norms.patches.rows == 4);
  CHECK(norms.patches.columns == 2);
  REQUIRE(norms.patches.values.size() == 8);
  REQUIRE(norms.prefix.size() == 2);
  CHECK(norms.prefix[1] == doctest::Approx(core::norm(tokens.select(0, 1))));
  CHECK(norms.patches.values[5] == doctest::Approx(core::norm(tokens.select(0, 7))));
  set(model, "blocks.1.mlp.fc2.bias", std::numeric_limits<double>::infinity());
  CHECK_THROWS_WITH_AS(token_norms(model, x), doctest::Contains("patch 0"), NumericError);
}

TEST_CASE("outliers are patches above a multiple of the median norm, or above a cutoff") {
  std::vector<TokenNorms> images(2);
  images[0].patches = {2, 2, {10, 11, 9, 100}};
  images[1].patches = {1, 3, {10, 31, 12}};
  const NormStatistics by_ratio = norm_statistics(images, 3, {});
  CHECK(by_ratio.patches == 7);
  CHECK(by_ratio.median == 11);
  CHECK(by_ratio.largest == 100);
  CHECK(by_ratio.cutoff == 33);
  CHECK(by_ratio.outliers == 1);
  CHECK(by_ratio.share() == doctest::Approx(1.0 / 7));
  CHECK(norm_statistics(images, 3, 30).outliers == 2);
  CHECK(norm_statistics(images, 3, 150).outliers == 0);
  CHECK(norm_statistics({}, 3, {}).share() == 0);
}

TEST_CASE("marks are red on the patches of the mask, and leave the others alone") {
  const data::Image grey(4, 4);
  const data::Image marked = overlay_marks(grey, {2, 2, {0, 1, 0, 0}});
  CHECK(marked.at(0, 3)[0] > 150);
  CHECK(marked.at(0, 3)[1] < 60);
  CHECK(marked.at(0, 0)[0] == grey.at(0, 0)[0]);
}
