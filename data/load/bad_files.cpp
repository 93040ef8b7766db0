#include "vitrail/data/load/bad_files.h"

#include "vitrail/core/error.h"
#include "vitrail/data/sources/dataset.h"

namespace vitrail::data {

void BadFiles::add(const Dataset& set, int64_t index, const std::string& reason) {
  const std::string name = set.name(index);
  const int64_t images = set.size();
  const std::scoped_lock lock(mutex_);
  reasons_.emplace(name, reason);
  auto& broken = broken_of_[&set];
  broken.insert(index);
  check<DataError>(policy_ == OnError::skip, "data", "broken image {}: {}; {}", name, reason, cure_);
  // The message has no count, because the count depends on the progress of the other workers.
  check<DataError>(double(broken.size()) <= max_share_ * double(images), "data",
                   "more of the {} images are broken than data.max_bad {} allows; the last is {}: {}", images,
                   max_share_, name, reason);
}

std::vector<BadFile> BadFiles::list() const {
  const std::scoped_lock lock(mutex_);
  std::vector<BadFile> out;
  for (const auto& [name, reason] : reasons_) out.push_back({name, reason});
  return out;
}

}  // namespace vitrail::data
