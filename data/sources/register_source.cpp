#include "vitrail/data/sources/register_source.h"

#include "vitrail/core/error.h"

#include <deque>
#include <mutex>
#include <utility>

namespace vitrail::data {
namespace {

struct Registry {
  std::mutex mutex;
  std::deque<DatasetSource> sources;  // never moved, so that find_source may return their addresses
};

Registry& registry() {
  static Registry all;
  return all;
}

}  // namespace

void register_source(DatasetSource source) {
  check<ConfigError>(source.recognises && source.open, "register_source", "'{}' needs both recognises and open",
                     source.name);
  Registry& all = registry();
  const std::scoped_lock lock(all.mutex);
  for (const DatasetSource& known : all.sources)
    check<ConfigError>(known.name != source.name, "register_source", "there is already a source '{}'", source.name);
  all.sources.push_back(std::move(source));
}

const DatasetSource* find_source(const std::string& path) {
  Registry& all = registry();
  const std::scoped_lock lock(all.mutex);
  for (const DatasetSource& source : all.sources)
    if (source.recognises(path)) return &source;
  return nullptr;
}

}  // namespace vitrail::data
