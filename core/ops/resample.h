// Resampling along one axis as a sparse matrix, for resample_positions() and interpolate(). Internal to core.
#pragma once

#include "vitrail/core/ops/matmul.h"

#include <cstdint>
#include <vector>

namespace vitrail::core {

/// A term of one result: the weight of one source element.
struct Tap {
  int64_t index;
  double weight;
};
using AxisWeights = std::vector<std::vector<Tap>>;  // one list a result

/// The four neighbours of a position with cubic weights (a = -0.75), or the two with linear ones. A neighbour beyond an
/// edge is the edge itself.
std::vector<Tap> neighbours(double position, int64_t from, bool linear);

/// Adds weights x to y along the middle axis, or weights' x if transposed. x [outer, from, inner], y [outer, to,
/// inner].
template <class C>
void resample_axis(const AxisWeights& weights, Trans trans, int64_t outer, int64_t from, int64_t to, int64_t inner,
                   const C* x, C* y) {
  for (int64_t o = 0; o < outer; ++o)
    for (size_t i = 0; i < weights.size(); ++i)
      for (const Tap& tap : weights[i]) {
        const int64_t source = trans == Trans::yes ? int64_t(i) : tap.index;
        const int64_t target = trans == Trans::yes ? tap.index : int64_t(i);
        const C weight = C(tap.weight);
        const C* in = x + (o * from + source) * inner;
        C* out = y + (o * to + target) * inner;
        for (int64_t c = 0; c < inner; ++c) out[c] += weight * in[c];
      }
}

}  // namespace vitrail::core
