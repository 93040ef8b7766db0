// The operations of automatic augmentation, by timm's names. Each turns a magnitude into an argument, and an image and
// an argument into an image.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/augment/affine.h"
#include "vitrail/data/image/image.h"

#include <span>
#include <string_view>

namespace vitrail::data {

struct PolicyOp {
  std::string_view name;
  /// The argument at a magnitude, usually 0 to 10; null for an operation without an argument.
  double (*argument)(double magnitude);
  bool is_signed;  // the argument, or its change, is negated in half of the cases
  Image (*apply)(Image image, double argument, const Warp& warp);
  /// Draws the value that apply gets, from a range that ends at the argument; null if apply gets the argument itself.
  double (*draw)(double argument, Rng& rng) = nullptr;

  /// The argument with its sign. Factors of the Increasing kind lie around 1 and are at least 0.1.
  double argument_at(double magnitude, bool negated) const;
};

/// All of them.
std::span<const PolicyOp> policy_ops();
/// Throws ConfigError for a name that is not in the list.
const PolicyOp& policy_op(std::string_view name);

}  // namespace vitrail::data
