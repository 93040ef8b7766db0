#include "tests/support/close.h"
#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"
#include "vitrail/core/tensor.h"

#include <doctest/doctest.h>

namespace vitrail {

TEST_CASE("views share elements and copies do not") {
  const Tensor t = arange(24, DType::f32).reshape({2, 3, 4});
  CHECK(t.transpose(0, 2).shape() == Shape{4, 3, 2});
  CHECK(t.transpose(0, 2).shares_storage(t));
  CHECK_FALSE(t.transpose(0, 2).contiguous().shares_storage(t));
  CHECK(t.slice(1, 1, 3).to_vector() == std::vector<double>{4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23});
  CHECK(t.slice(2, 0, 4, 3).to_vector() == std::vector<double>{0, 3, 4, 7, 8, 11, 12, 15, 16, 19, 20, 23});
  CHECK(t.select(0, 1).select(0, 2).select(0, 3).item() == 23);
  CHECK(t.permute({1, 2, 0}).to_vector() ==
        std::vector<double>{0, 12, 1, 13, 2, 14, 3, 15, 4, 16, 5, 17, 6, 18, 7, 19, 8, 20, 9, 21, 10, 22, 11, 23});
  CHECK(t.slice(0, 1, 2).is_contiguous());
}

TEST_CASE("reshape views strided tensors where strides allow it") {
  const Tensor t = arange(24, DType::f32).reshape({2, 3, 4});
  const Tensor packed = t.slice(2, 0, 2);           // [2, 3, 2], rows of 4
  CHECK(packed.reshape({6, 2}).shares_storage(t));  // leading axes merge
  CHECK(packed.reshape({6, 2}).to_vector() == packed.to_vector());
  CHECK(packed.reshape({2, 3, 2, 1}).to_vector() == packed.to_vector());
  CHECK(packed.reshape({2, 3, 1, 2}).to_vector() == packed.to_vector());
  CHECK(t.reshape({-1, 4}).shape() == Shape{6, 4});
  CHECK_THROWS_WITH_AS(packed.reshape({12}), doctest::Contains("call contiguous() first"), ShapeError);
  CHECK_THROWS_WITH_AS(t.reshape({5, 5}), doctest::Contains("24 elements"), ShapeError);
}

TEST_CASE("reshape refuses to merge an axis with an expanded one") {
  const Tensor inner = tensor<float>({1, 2}, {2, 1}).expand({2, 3}),
               outer = tensor<float>({1, 2}, {1, 2}).expand({3, 2});
  CHECK_THROWS_AS(inner.reshape({6}), ShapeError);
  CHECK_THROWS_AS(outer.reshape({6}), ShapeError);
  CHECK(inner.reshape({2, 1, 3}).to_vector() == std::vector<double>{1, 1, 1, 2, 2, 2});
  CHECK(tensor<float>({7}, {1}).expand({6}).reshape({2, 3}).to_vector() == std::vector<double>(6, 7));
}

TEST_CASE("sizes that no machine has are refused") {
  CHECK_THROWS_AS(Tensor::empty({int64_t{1} << 61}, DType::f64), ShapeError);
  CHECK_THROWS_AS(Tensor::empty({int64_t{1} << 59}, DType::f64), OutOfMemory);
  CHECK_THROWS_AS((Shape{int64_t{1} << 40, int64_t{1} << 40}.numel()), ShapeError);
}

TEST_CASE("expand broadcasts without a copy") {
  const Tensor row = tensor<float>({1, 2, 3}, {3});
  CHECK(row.expand({2, 3}).shares_storage(row));
  CHECK(row.expand({2, 3}).to_vector() == std::vector<double>{1, 2, 3, 1, 2, 3});
  CHECK_THROWS_AS(row.expand({2, 4}), ShapeError);
  CHECK(broadcast(Shape{3, 1}, Shape{2, 1, 4}) == Shape{2, 3, 4});
}

TEST_CASE("conversions round to nearest even and keep NaN") {
  CHECK(float(bf16(1.00390625f)) == 1.0f);  // a tie goes to the even neighbour
  CHECK(float(bf16(1.01171875f)) == 1.015625f);
  CHECK(std::isnan(float(bf16(std::nanf("")))));
  CHECK(tensor<float>({1.5f, -2.5f}, {2}).to(DType::i64).to_vector() == std::vector<double>{1, -2});
}

TEST_CASE("empty and scalar tensors are legal") {
  CHECK(zeros({0, 3}).to_vector().empty());
  CHECK(zeros({0, 3}).reshape({3, 0}).shape() == Shape{3, 0});
  CHECK(scalar(2.5).item() == 2.5);
  CHECK_THROWS_WITH_AS(zeros({2}).item(), doctest::Contains("exactly one element"), ShapeError);
}

TEST_CASE("the pool reuses what was freed and counts by owner") {
  { const Tensor warm = zeros({1000, 1000}); }
  const int64_t before = memory::system_allocations(), live = memory::live_bytes();
  {
    MemoryOwner owner("test");
    const Tensor again = zeros({1000, 1000});
    CHECK(memory::live_bytes() >= live + 4'000'000);
    CHECK(memory::live_by_owner().front().first == "test");
    CHECK(reinterpret_cast<uintptr_t>(again.raw()) % 64 == 0);
  }
  CHECK(memory::system_allocations() == before);
  CHECK(memory::live_bytes() == live);
}

TEST_CASE("running out of memory names who holds it") {
  memory::release_cached();
  memory::set_limit(memory::reserved_bytes() + (8 << 20));
  CHECK_THROWS_WITH_AS(zeros({64 << 20}), doctest::Contains("asked for 256 MiB"), OutOfMemory);
  memory::set_limit(0);
}

TEST_CASE("philox gives the published vectors") {
  // Known answers of the Random123 distribution.
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("random draws have the moments of their distribution") {
  Rng rng(1, "test");
  const auto moments = [](auto&& draw) {
    double sum = 0, squares = 0;
    const int n = 20000;
    for (int i = 0; i < n; ++i) {
      const double v = draw();
      sum += v;
      squares += v * v;
    }
    return std::pair(sum / n, squares / n - sum / n * sum / n);
  };
  const auto near = [](double v, double expected, double by) { return std::abs(v - expected) < by; };
  auto [um, uv] = moments([&] { return rng.uniform(); });
  CHECK(near(um, 0.5, 0.01));
  CHECK(near(uv, 1.0 / 12, 0.003));
  auto [nm, nv] = moments([&] { return rng.normal(); });
  CHECK(near(nm, 0, 0.03));
  CHECK(near(nv, 1, 0.05));
  auto [bm, bv] = moments([&] { return rng.beta(0.8, 0.8); });
  CHECK(near(bm, 0.5, 0.01));
  CHECK(near(bv, 0.25 / 2.6, 0.004));
  const auto p = rng.permutation(50);
  std::vector<bool> seen(50);
  for (int64_t i : p) seen[size_t(i)] = true;
  CHECK(std::count(seen.begin(), seen.end(), true) == 50);
  CHECK(Rng(1, "a").next() == Rng(1, "a").next());
  CHECK(Rng(1, "a").next() != Rng(1, "b").next());
}

}  // namespace vitrail
