#include "vitrail/core/error.h"
#include "vitrail/data/augment/rand_augment.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <string>

namespace vitrail::data {

TEST_CASE("RandAugment reads timm's texts and says what is wrong with others") {
  const auto c = parse_rand_augment("rand-m7.5-n3-p0.25-mstd101-mmax12-inc1");
  CHECK(c.magnitude == 7.5);
  CHECK(c.layers == 3);
  CHECK(c.probability == 0.25);
  CHECK(std::isinf(c.magnitude_std));
  CHECK(c.max_magnitude == 12);
  CHECK(c.increasing);
  CHECK_FALSE(parse_rand_augment("rand-inc0").increasing);
  CHECK_THROWS_WITH_AS(parse_rand_augment("augmix-m5"), doctest::Contains("'augmix-m5' does not begin with 'rand'"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(parse_rand_augment("rand-m9-x5"), doctest::Contains("'x' in 'rand-m9-x5' is not one of m,"),
                       ConfigError);
  for (const char* text : {"rand-", "rand-m", "rand-9", "rand-m9x", "rand-m9--n2", ""})
    CHECK_THROWS_AS(parse_rand_augment(text), ConfigError);
  CHECK_THROWS_WITH_AS(RandAugment({.layers = 0}), doctest::Contains("0 layers"), ConfigError);
  CHECK_THROWS_AS(RandAugment({.probability = 1.5}), ConfigError);
  CHECK_THROWS_WITH_AS(policy_op("Rotato"), doctest::Contains("'Rotato' is not one of AutoContrast,"), ConfigError);
}

TEST_CASE("RandAugment draws operations evenly, signs by halves, magnitudes about the mean") {
  const RandAugment augment(parse_rand_augment("rand-m9-mstd0.5-inc1"));
  CHECK(augment.operations().size() == 15);
  Rng rng(1, "rand_augment");
  std::map<std::string, int> counts;
  constexpr int kDraws = 15000;
  int total = 0, left = 0;
  double turns = 0, squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    for (const auto& [op, argument] : augment.sample(rng, {1, 1})) {
      ++total;
      ++counts[std::string(op->name)];
      if (op->name != "Rotate") continue;
      left += argument < 0;
      turns += std::abs(argument) / 3;  // the magnitude
      squares += argument * argument / 9;
    }
  }
  CHECK(std::abs(total - kDraws) < 500);  // two operations, each with probability 1/2
  CHECK(counts.size() == 15);
  for (const auto& [name, count] : counts) CHECK(std::abs(count - kDraws / 15) < 190);
  const double n = counts["Rotate"];
  CHECK(std::abs(left / n - 0.5) < 0.1);
  CHECK(std::abs(turns / n - 8.99) < 0.1);  // clipped at 10
  CHECK(std::abs(std::sqrt(squares / n - turns * turns / (n * n)) - 0.48) < 0.06);
}

TEST_CASE("every operation of a policy keeps the size") {
  Image image(9, 12);
  for (size_t i = 0; i < image.pixels().size(); ++i) image.data()[i] = uint8_t(i * 11);
  for (const PolicyOp& op : policy_ops()) {
    CAPTURE(op.name);
    for (const bool negated : {false, true})
      CHECK(op.apply(image, op.argument_at(9, negated), {Filter::bilinear}).size() == image.size());
  }
  CHECK_THROWS_WITH_AS(warp_affine(image, {}, {Filter::lanczos}), doctest::Contains("lanczos"), ConfigError);
  CHECK(RandAugment({}).apply(image, {}) == image);
}

}  // namespace vitrail::data
