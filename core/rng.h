// Counter-based random numbers (Philox4x32-10). A number is a pure function of (seed, stream, sample) and of its
// position in the sequence, so results never depend on threads or on the order in which samples are computed.
#pragma once

#include "vitrail/core/tensor.h"

#include <array>
#include <cstdint>
#include <string_view>

namespace vitrail {

/// Ten rounds of Philox4x32. Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// A number for a name ("dropout", "blocks.0.attn.qkv.weight"), for use as a stream. 64-bit FNV-1a.
constexpr uint64_t stream_id(std::string_view name) {
  uint64_t h = 0xcbf29ce484222325u;
  for (char c : name) h = (h ^ uint8_t(c)) * 0x100000001b3u;
  return h;
}

/// A generator at one place of one stream. Copies continue independently with the same numbers.
class Rng {
 public:
  /// sample: the position within the stream, such as epoch and index mixed by combine().
  Rng(uint64_t seed, uint64_t stream, uint64_t sample = 0);
  Rng(uint64_t seed, std::string_view stream, uint64_t sample = 0) : Rng(seed, stream_id(stream), sample) {}
  /// Mixes two numbers into one, for use as a sample.
  static uint64_t combine(uint64_t a, uint64_t b);

  uint32_t next();                          // 32 random bits
  double uniform();                         // [0, 1), 53 bits
  double uniform(double low, double high);  // [low, high)
  int64_t below(int64_t n);                 // 0..n-1, exactly uniform; n > 0
  bool bernoulli(double p);                 // true with probability p
  double normal();                          // mean 0, deviation 1 (Box-Muller)
  double gamma(double shape);               // Marsaglia and Tsang 2000
  /// In [0, 1], from two gamma variates.
  double beta(double a, double b);

  // Whole tensors. Element i depends on i only; the generator advances by two numbers.
  Tensor uniform(const Shape& shape, double low, double high, DType dtype = DType::f32);
  Tensor normal(const Shape& shape, double mean, double std, DType dtype = DType::f32);
  /// 1 with probability p, else 0.
  Tensor bernoulli(const Shape& shape, double p, DType dtype = DType::f32);
  /// 0..n-1 in random order (Fisher-Yates).
  std::vector<int64_t> permutation(int64_t n);

 private:
  template <class F>
  Tensor fill(const Shape& shape, DType dtype, F&& value_of);

  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;  // {position, position, tag, tag}
  std::array<uint32_t, 4> block_{};
  int used_ = 4;  // numbers taken from block_
};

}  // namespace vitrail
