#include "tests/core/ops/kernel_case.h"
#include "vitrail/core/error.h"

namespace vitrail {

TEST_CASE("concat puts parts side by side along any axis") {
  const Tensor a = arange(6, DType::f32).reshape({2, 3}), b = core::affine(a.transpose(0, 1), -1).transpose(0, 1);
  CHECK(core::concat({a, b}, 0).to_vector() == std::vector<double>{0, 1, 2, 3, 4, 5, 0, -1, -2, -3, -4, -5});
  CHECK(core::concat({a, b}, -1).to_vector() == std::vector<double>{0, 1, 2, 0, -1, -2, 3, 4, 5, -3, -4, -5});
  CHECK(core::concat({a, zeros({2, 0}), a.slice(1, 0, 1)}, 1).shape() == Shape{2, 4});
  CHECK_FALSE(core::concat({a}, 0).shares_storage(a));
  CHECK_THROWS_WITH_AS(core::concat({a, zeros({3, 3})}, 1), doctest::Contains("[3, 3] does not fit [2, 3]"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(core::concat({a, zeros({2, 3}, DType::bf16)}, 0), doctest::Contains("f32 and bf16"), ShapeError);
  CHECK_THROWS_WITH_AS(core::concat({}, 0), doctest::Contains("at least one part"), ShapeError);
}

TEST_CASE("stack makes a new axis, split and chunk cut one") {
  const Tensor x = arange(6, DType::f32).reshape({2, 3});
  CHECK(core::stack({x, x}).shape() == Shape{2, 2, 3});
  CHECK(core::stack({x[0], x[1]}, 1).to_vector() == std::vector<double>{0, 3, 1, 4, 2, 5});
  CHECK(core::stack({x, x}, -1).shape() == Shape{2, 3, 2});
  CHECK(core::stack({scalar(1), scalar(2)}).to_vector() == std::vector<double>{1, 2});
  CHECK_THROWS_WITH_AS(core::stack({x, x[0]}), doctest::Contains("[stack] parts are [2, 3] and [3]"), ShapeError);

  const Tensor ten = arange(10);
  const auto sizes = [](const std::vector<Tensor>& parts) {
    std::vector<int64_t> all;
    all.reserve(parts.size());
    for (const Tensor& part : parts) all.push_back(part.size(0));
    return all;
  };
  CHECK(sizes(core::split(ten, 4)) == std::vector<int64_t>{4, 4, 2});
  CHECK(sizes(core::split(ten, std::vector<int64_t>{1, 9})) == std::vector<int64_t>{1, 9});
  CHECK(sizes(core::chunk(ten, 3)) == std::vector<int64_t>{4, 4, 2});
  CHECK(sizes(core::chunk(ten, 6)) == std::vector<int64_t>{2, 2, 2, 2, 2});  // as PyTorch: five, not six
  CHECK(core::split(ten, 4)[1].shares_storage(ten));
  CHECK_THROWS_WITH_AS(core::split(ten, std::vector<int64_t>{1, 2}), doctest::Contains("the sizes add up to 3"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(core::chunk(ten, 0), doctest::Contains("count is 0"), ShapeError);
}

TEST_CASE("flatten, flip, roll and pad") {
  const Tensor x = arange(6, DType::f32).reshape({2, 3});
  using Values = std::vector<double>;
  CHECK(core::flatten(zeros({2, 3, 4, 5}), 1, 2).shape() == Shape{2, 12, 5});
  CHECK(core::flatten(x).shape() == Shape{6});
  CHECK(core::flatten(scalar(1)).shape() == Shape{1});
  CHECK(core::flip(x, 1).to_vector() == Values{2, 1, 0, 5, 4, 3});
  CHECK(core::flip(x, {0, -1}).to_vector() == Values{5, 4, 3, 2, 1, 0});
  CHECK(core::roll(x, 1, 1).to_vector() == Values{2, 0, 1, 5, 3, 4});
  CHECK(core::roll(x, -4, 1).to_vector() == core::roll(x, 2, 1).to_vector());
  CHECK(core::roll(x, {1, 1}, {0, 1}).to_vector() == Values{5, 3, 4, 2, 0, 1});
  CHECK(core::roll(zeros({0, 2}), 3, 0).shape() == Shape{0, 2});
  CHECK(core::pad(x, {1, 0}).to_vector() == Values{0, 0, 1, 2, 0, 3, 4, 5});
  CHECK(core::pad(x, {0, 1, 1, 0}, 9).to_vector() == Values{9, 9, 9, 9, 0, 1, 2, 9, 3, 4, 5, 9});
  CHECK(core::unpad(core::pad(x, {2, 1, 0, 3}), {2, 1, 0, 3}).to_vector() == x.to_vector());
  CHECK_THROWS_WITH_AS(core::pad(x, {1}), doctest::Contains("[pad] 1 counts for [2, 3]"), ShapeError);
  CHECK_THROWS_WITH_AS(core::pad(x, {-1, 0}), doctest::Contains("count -1 is negative"), ShapeError);
}

}  // namespace vitrail
