// Shards: the parts of a step's batch. Each is computed by itself, so a run's numbers do not depend on which rank
// computes which shard.
#pragma once

#include <cstdint>

namespace vitrail {

/// The shards of a step, and those of this rank: `count` from `first` on.
struct Shards {
  int64_t all = 1;
  int64_t first = 0;
  int64_t count = 1;
  bool operator==(const Shards&) const = default;
};

/// Those of this rank, see comm(). Each of several ranks gets a power of two of them: an aligned run of as many is a
/// subtree of their sum (tree_sum.h). Throws ConfigError naming the numbers of ranks that can share them.
Shards shards_of_rank(int64_t all);

}  // namespace vitrail
