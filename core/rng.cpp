#include "vitrail/core/rng.h"

#include "vitrail/core/error.h"
#include "vitrail/core/parallel.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace vitrail {
namespace {

/// A bijection of 64 bits that spreads every input bit (the finaliser of SplitMix64).
uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

double unit_double(uint32_t high, uint32_t low) { return double(((uint64_t(high) << 32) | low) >> 11) * 0x1.0p-53; }

using Key = std::array<uint32_t, 2>;

/// A separate stream for a tensor's elements, so that their count does not change the next draw.
uint64_t next_tag(Rng& rng) {
  const uint64_t high = rng.next();
  return (high << 32) | rng.next();
}

std::array<uint32_t, 4> philox_at(uint64_t position, uint64_t tag, Key key) {
  return philox({uint32_t(position), uint32_t(position >> 32), uint32_t(tag), uint32_t(tag >> 32)}, key);
}

}  // namespace

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53u} * c[0];
    const uint64_t b = uint64_t{0xCD9E8D57u} * c[2];
    c = {uint32_t(b >> 32) ^ c[1] ^ k[0], uint32_t(b), uint32_t(a >> 32) ^ c[3] ^ k[1], uint32_t(a)};
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  return c;
}

uint64_t Rng::combine(uint64_t a, uint64_t b) { return mix(mix(a) ^ b); }

Rng::Rng(uint64_t seed, uint64_t stream, uint64_t sample) : key_{uint32_t(seed), uint32_t(seed >> 32)}, counter_{} {
  const uint64_t tag = combine(stream, sample);
  counter_[2] = uint32_t(tag);
  counter_[3] = uint32_t(tag >> 32);
}

uint32_t Rng::next() {
  if (used_ == 4) {
    block_ = philox(counter_, key_);
    if (++counter_[0] == 0) ++counter_[1];
    used_ = 0;
  }
  return block_[size_t(used_++)];
}

double Rng::uniform() {
  const uint32_t high = next();
  return unit_double(high, next());
}

double Rng::uniform(double low, double high) { return low + (high - low) * uniform(); }
bool Rng::bernoulli(double p) { return uniform() < p; }

int64_t Rng::below(int64_t n) {
  check(n > 0, "rng", "below({}): needs a positive bound", n);
  // Rejects the last, incomplete run of multiples of n, so that every result is equally likely.
  const uint64_t bound = uint64_t(n);
  const uint64_t reject_from = ~uint64_t{0} - (~uint64_t{0} % bound + 1) % bound;
  while (true) {
    const uint64_t high = next();
    const uint64_t v = (high << 32) | next();
    if (v <= reject_from) return int64_t(v % bound);
  }
}

double Rng::normal() {
  const double radius = std::sqrt(-2 * std::log1p(-uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

double Rng::gamma(double shape) {
  if (shape < 1) {
    const double boost = std::pow(1 - uniform(), 1 / shape);
    return gamma(shape + 1) * boost;
  }
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = normal(), root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(1 - uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

double Rng::beta(double a, double b) {
  const double x = gamma(a);
  return x / (x + gamma(b));
}

template <class F>
Tensor Rng::fill(const Shape& shape, DType dtype, F&& value_of) {
  const uint64_t tag = next_tag(*this);
  Tensor t = Tensor::empty(shape, dtype);
  dispatch_all(dtype, [&](auto element) {
    using T = decltype(element);
    T* out = t.data<T>();
    parallel_for(t.numel(), 1 << 13, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto r = philox_at(uint64_t(i), tag, key_);
        out[i] = T(compute_cast<T>(value_of(unit_double(r[0], r[1]), unit_double(r[2], r[3]))));
      }
    });
  });
  return t;
}

Tensor Rng::uniform(const Shape& shape, double low, double high, DType dtype) {
  return fill(shape, dtype, [=](double u, double) { return low + (high - low) * u; });
}

Tensor Rng::normal(const Shape& shape, double mean, double std, DType dtype) {
  return fill(shape, dtype, [=](double u, double v) {
    return mean + std * std::sqrt(-2 * std::log1p(-u)) * std::cos(2 * std::numbers::pi * v);
  });
}

Tensor Rng::bernoulli(const Shape& shape, double p, DType dtype) {
  // Masks are drawn in every step, so each block of four numbers serves four elements; 32 bits are enough for p.
  const uint64_t tag = next_tag(*this);
  const uint64_t threshold = uint64_t(std::ldexp(std::clamp(p, 0.0, 1.0), 32));
  Tensor t = Tensor::empty(shape, dtype);
  dispatch_all(dtype, [&](auto element) {
    using T = decltype(element);
    const T yes = T(compute_cast<T>(1)), no = T(compute_cast<T>(0));
    T* out = t.data<T>();
    parallel_for((t.numel() + 3) / 4, 1 << 12, [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) {
        const auto r = philox_at(uint64_t(block), tag, key_);
        const int64_t first = 4 * block, last = std::min(first + 4, t.numel());
        for (int64_t i = first; i < last; ++i) out[i] = r[size_t(i - first)] < threshold ? yes : no;
      }
    });
  });
  return t;
}

std::vector<int64_t> Rng::permutation(int64_t n) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t i = n - 1; i > 0; --i) std::swap(order[size_t(i)], order[size_t(below(i + 1))]);
  return order;
}

}  // namespace vitrail
