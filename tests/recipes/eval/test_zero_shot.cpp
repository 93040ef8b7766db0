#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/recipes/eval/pair_retrieval.h"
#include "vitrail/recipes/eval/zero_shot.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace vitrail;
using namespace vitrail::recipes;

TEST_CASE("the place of the best right answer counts the more similar ones, and of equal ones those before it") {
  const Tensor queries = tensor<float>({1, 0, 0, 1}, {2, 2});
  const Tensor answers = tensor<float>({0.6f, 0.8f, 1, 0, 0, 1, 0.6f, 0.8f}, {4, 2});
  // Similarities: of the first query 0.6, 1, 0, 0.6; of the second 0.8, 0, 1, 0.8.
  CHECK(best_places(queries, answers, {{0}, {0}}) == std::vector<int64_t>{1, 1});
  CHECK(best_places(queries, answers, {{3}, {3}}) == std::vector<int64_t>{2, 2});
  CHECK(best_places(queries, answers, {{2, 3}, {1, 2}}) == std::vector<int64_t>{2, 0});
  CHECK_THROWS_WITH_AS(best_places(queries, answers, {{0}, {}}), doctest::Contains("no right answer"), ShapeError);
  CHECK_THROWS_WITH_AS(best_places(queries, answers, {{0}, {4}}), doctest::Contains("answer 4 of 4"), ShapeError);
}

TEST_CASE("recall at 1, 5, 10 and the ranks from 1, as open_clip reports them") {
  const Stats stats = recall("i2t", {0, 3, 9, 20});
  CHECK(stat(stats, "i2t_r1") == 0.25);
  CHECK(stat(stats, "i2t_r5") == 0.5);
  CHECK(stat(stats, "i2t_r10") == 0.75);
  CHECK(stat(stats, "i2t_mean_rank") == 9);
  CHECK(stat(stats, "i2t_median_rank") == 7);  // floor of 6, the mean of 3 and 9, and one
}

TEST_CASE("a class's weight is the mean direction of its prompts") {
  const TextFeatures features_of = [](std::span<const std::string> texts) {
    std::vector<float> values;
    for (const std::string& text : texts) {
      values.push_back(text.find("cat") != std::string::npos ? 3.0f : 0.0f);
      values.push_back(text.starts_with("a photo") ? 4.0f : 0.5f);
    }
    return tensor(values, {int64_t(texts.size()), 2});
  };
  const Tensor weights = zero_shot_weights(features_of, {"cat", "dog"}, {"a photo of a {}", "{}"});
  // cat: (3, 4) and (3, 0.5), each brought to length 1 before the mean.
  const double length = std::hypot(3, 0.5), x = 0.6 + 3 / length, y = 0.8 + 0.5 / length;
  CHECK(weights.shape() == Shape{2, 2});
  const auto values = weights.to_vector();
  CHECK(values[0] == doctest::Approx(x / std::hypot(x, y)));
  CHECK(values[1] == doctest::Approx(y / std::hypot(x, y)));
  CHECK(values[2] == doctest::Approx(0));
  CHECK(values[3] == doctest::Approx(1));
}

TEST_CASE("a template without a place for the name is refused") {
  CHECK(fill_template("a {} beside a {}", "cat") == "a cat beside a cat");
  CHECK_THROWS_WITH_AS(fill_template("a photo", "cat"), doctest::Contains("'a photo' has no {}"), DataError);
}
