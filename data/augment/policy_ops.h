// The operations that automatic augmentation chooses from, by timm's names: from a magnitude to an argument, and from
// an argument to an image.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/augment/affine.h"
#include "vitrail/data/image/image.h"

#include <span>
#include <string_view>

namespace vitrail::data {

struct PolicyOp {
  std::string_view name;
  /// The argument at a magnitude, of which 10 is the usual end; null where there is none.
  double (*argument)(double magnitude);
  bool is_signed;  // the argument, or the change it makes, is as often of the other sign
  Image (*apply)(Image image, double argument, const Warp& warp);
  /// Null, or draws what apply is given; the argument then is the end of a range.
  double (*draw)(double argument, Rng& rng) = nullptr;

  /// The argument with its sign: factors of the Increasing kind lie about 1 and stay at 0.1 at least.
  double argument_at(double magnitude, bool negated) const;
};

/// All of them.
std::span<const PolicyOp> policy_ops();
/// Throws ConfigError for a name that is not in the list.
const PolicyOp& policy_op(std::string_view name);

}  // namespace vitrail::data
