#include "vitrail/core/comm/shards.h"

#include "vitrail/core/comm/comm.h"
#include "vitrail/core/error.h"

#include <bit>
#include <string>

namespace vitrail {
namespace {

bool fits(int64_t all, int64_t ranks) {
  return ranks == 1 || (all % ranks == 0 && std::has_single_bit(uint64_t(all / ranks)));
}

}  // namespace

Shards shards_of_rank(int64_t all) {
  check<ConfigError>(all > 0, "train.shards", "{}; a batch has at least one", all);
  const int64_t ranks = comm().size();
  if (!fits(all, ranks)) {
    std::string possible;
    for (int64_t n = 1; n <= all; ++n)
      if (fits(all, n)) possible += (possible.empty() ? "" : ", ") + std::to_string(n);
    fail<ConfigError>("train.shards", "{} ranks cannot share {} shards; {} ranks can", ranks, all, possible);
  }
  const int64_t each = all / ranks;
  return {.all = all, .first = each * comm().rank(), .count = each};
}

}  // namespace vitrail
