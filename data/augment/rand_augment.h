// RandAugment: applies a few random operations of about the same magnitude.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/augment/policy_ops.h"

#include <string_view>
#include <vector>

namespace vitrail::data {

/// Each of `layers` draws one of fifteen operations, with replacement, and applies it with a probability. Its magnitude
/// is normal and clipped to [0, max_magnitude].
/// Source: Cubuk et al. 2020 (arXiv:1909.13719); operations and numbers as in timm.
class RandAugment final {
 public:
  struct Config {
    double magnitude = 10, magnitude_std = 0, max_magnitude = 10;  // std infinite: uniform in [0, magnitude]
    int layers = 2;
    double probability = 0.5;  // of each operation drawn
    bool increasing = false;   // operations whose strength always grows with the magnitude
    Warp warp{};
  };
  struct Step {
    const PolicyOp* op;
    double argument;
  };
  using Params = std::vector<Step>;

  /// Throws ConfigError for numbers that cannot be used.
  explicit RandAugment(const Config& config);

  Params sample(Rng& rng, ImageSize) const;
  Image apply(Image image, const Params& params) const;

  /// The options, and the operations that layers draw from.
  const Config& config() const { return config_; }
  const std::vector<const PolicyOp*>& operations() const { return operations_; }

 private:
  double sample_magnitude(Rng& rng) const;

  Config config_;
  std::vector<const PolicyOp*> operations_;
};

/// Reads timm's "rand-m9-mstd0.5-inc1": m magnitude, mstd its deviation (over 100: uniform), mmax its end, n layers, p
/// probability, inc increasing operations. Throws ConfigError for anything else.
RandAugment::Config parse_rand_augment(std::string_view text);

}  // namespace vitrail::data
