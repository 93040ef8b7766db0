// Shards: the parts of a step's batch. Each is computed by itself, so a run's numbers do not depend on which rank
// computes which shard.
#pragma once

#include <cstdint>

namespace vitrail {

/// A step has `all` shards. This rank computes `count` of them; `first` is the number of the first one.
struct Shards {
  int64_t all = 1;
  int64_t first = 0;
  int64_t count = 1;
  bool operator==(const Shards&) const = default;
};

/// The shards of this rank, see comm(). One rank takes all. Several ranks take equal runs of 1, 2, 4, 8, ... shards,
/// because such a run is a subtree of the sum (tree_sum.h). Otherwise throws ConfigError, which names the numbers of
/// ranks that can share them.
Shards shards_of_rank(int64_t all);

}  // namespace vitrail
