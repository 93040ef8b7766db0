#include "vitrail/core/memory.h"
#include "vitrail/core/rng.h"
#include "vitrail/core/segments.h"
#include "vitrail/core/tensor.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace vitrail {
namespace {

constexpr int64_t kUnit = Segments::kUnit, kHuge = Segments::kHugePage;

}  // namespace

TEST_CASE("pieces that come back are merged with their neighbours") {
  Segments segments;
  CHECK(segments.take(kUnit) == nullptr);
  REQUIRE(segments.grow(kHuge));
  std::byte* const a = segments.take(3 * kUnit);
  std::byte* const b = segments.take(5 * kUnit);
  std::byte* const c = segments.take(kHuge - 8 * kUnit);
  CHECK(b == a + 3 * kUnit);
  CHECK(c == b + 5 * kUnit);
  CHECK(segments.take(kUnit) == nullptr);
  CHECK(segments.release() == 0);

  segments.give_back(a, 3 * kUnit);
  segments.give_back(c, kHuge - 8 * kUnit);
  CHECK(segments.take(2 * kUnit) == a);  // the smallest free piece that fits
  segments.give_back(a, 2 * kUnit);
  segments.give_back(b, 5 * kUnit);  // merges with both neighbours
  CHECK(segments.take(kHuge) == a);
  segments.give_back(a, kHuge);
  CHECK(segments.release() == kHuge);
  CHECK(segments.take(kUnit) == nullptr);
}

TEST_CASE("big blocks are cut from the end of a piece, others from its beginning") {
  constexpr int64_t big = Segments::kBig, all = 4 * big;
  Segments segments;
  REQUIRE(segments.grow(all));
  std::byte* const small = segments.take(kUnit);
  std::byte* const first = segments.take(big);
  std::byte* const second = segments.take(big);
  CHECK(first == small + all - big);
  CHECK(second == first - big);
  CHECK(segments.take(kUnit) == small + kUnit);
  segments.give_back(second, big);
  CHECK(segments.take(all - 2 * kUnit - big) == small + 2 * kUnit);  // the rest in the middle is one piece
  segments.give_back(small, all - big);                              // merges with everything before the first
  segments.give_back(first, big);
  CHECK(segments.release() == all);
}

TEST_CASE("pieces of a random mix of sizes never overlap and leave nothing behind") {
  Segments segments;
  for (int i = 0; i < 3; ++i) REQUIRE(segments.grow(8 * kHuge));
  struct Piece {
    std::byte* at;
    int64_t bytes;
    uint8_t mark;
  };
  std::vector<Piece> pieces;
  Rng rng(1, "pieces");
  const auto give_back = [&](size_t i) {
    const Piece p = pieces[i];
    CHECK(std::all_of(p.at, p.at + p.bytes, [&](std::byte x) { return x == std::byte(p.mark); }));
    segments.give_back(p.at, p.bytes);
    pieces[i] = pieces.back();
    pieces.pop_back();
  };
  for (int i = 0; i < 2000; ++i) {
    const int64_t bytes = rng.bernoulli(0.1) ? Segments::kBig + kUnit * rng.below(40) : kUnit * (1 + rng.below(40));
    if (std::byte* const at = segments.take(bytes)) {
      pieces.push_back({at, bytes, uint8_t(i)});
      std::memset(at, uint8_t(i), size_t(bytes));
    }
    if (!pieces.empty() && rng.bernoulli(0.5)) give_back(size_t(rng.below(int64_t(pieces.size()))));
  }
  while (!pieces.empty()) give_back(pieces.size() - 1);
  CHECK(segments.release() == 24 * kHuge);  // whole segments, even if two are neighbours
}

TEST_CASE("what large tensors leave serves tensors of other sizes, without waste") {
  const int64_t live = memory::live_bytes();
  {
    const Tensor first = zeros({5 << 18});  // 5 MiB
    CHECK(memory::live_bytes() - live < (5 << 20) + 3 * kUnit);
    std::vector<Tensor> others;
    others.reserve(8);
    for (int i = 0; i < 8; ++i) others.push_back(zeros({1 << 19}));
  }
  const int64_t before = memory::system_allocations();
  const Tensor larger = zeros({4 << 20});  // 16 MiB, where eight of 2 MiB were
  CHECK(memory::system_allocations() == before);
}

}  // namespace vitrail
