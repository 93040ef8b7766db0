#include "vitrail/autograd/profile.h"

#include <algorithm>
#include <utility>

namespace vitrail::ag {
namespace {

thread_local Profile* live = nullptr;

}  // namespace

Profile::Profile() : outer_(std::exchange(live, this)) {}
Profile::~Profile() { live = outer_; }
Profile* Profile::current() { return live; }

void Profile::lap(const std::string& name, int64_t macs, int64_t bytes) {
  const auto now = Clock::now();
  auto row = std::find_if(rows_.begin(), rows_.end(), [&](const ProfileRow& r) { return r.op == name; });
  if (row == rows_.end()) row = rows_.insert(rows_.end(), {name, 0, 0, 0, 0});
  ++row->calls;
  row->seconds += std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  row->macs += macs;
  row->bytes += bytes;
}

std::vector<ProfileRow> Profile::rows() const {
  std::vector<ProfileRow> sorted = rows_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return sorted;
}

}  // namespace vitrail::ag
