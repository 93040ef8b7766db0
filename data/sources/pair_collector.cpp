#include "vitrail/data/sources/pair_collector.h"

#include "vitrail/core/error.h"

#include <algorithm>
#include <utility>

namespace vitrail::data {

bool PairCollector::wants(std::string_view kind) {
  if (kind.empty()) return wanted_.empty();
  const auto known = seen_.find(kind);
  if (known != seen_.end()) return known->second >= 0;
  const bool wanted = wanted_.empty() || std::find(wanted_.begin(), wanted_.end(), kind) != wanted_.end();
  seen_.emplace(kind, wanted ? int64_t(pairs_.kinds.size()) : -1);
  if (wanted) pairs_.kinds.emplace_back(kind);
  return wanted;
}

void PairCollector::add(int64_t image, std::string_view text, std::string_view kind) {
  if (image == size()) pairs_.captions.emplace_back();
  std::vector<std::string>& captions = pairs_.captions.at(size_t(image));
  captions.emplace_back(text);
  if (pairs_.kinds.empty()) return;
  pairs_.kind_of.resize(pairs_.captions.size());
  std::vector<int64_t>& kinds = pairs_.kind_of[size_t(image)];
  kinds.resize(captions.size(), -1);
  if (!kind.empty()) kinds.back() = seen_.find(kind)->second;
}

Pairs PairCollector::finish(std::unique_ptr<Dataset> images, const std::string& source) {
  std::string there;
  for (const auto& [kind, index] : seen_) there += (there.empty() ? "" : ", ") + kind;
  for (const std::string& kind : wanted_)
    check<DataError>(seen_.contains(kind), "pairs", "{}: no caption is of kind '{}'; {}", source, kind,
                     there.empty() ? "its captions have no kinds" : "there is: " + there);
  check<DataError>(size() > 0, "pairs", "{} has no captions", source);
  check<DataError>(images->size() == size(), "pairs", "{}: {} images, captions of {}", source, images->size(), size());
  pairs_.images = std::move(images);
  if (!pairs_.kinds.empty()) {  // captions before the first with a kind had none
    pairs_.kind_of.resize(pairs_.captions.size());
    for (size_t i = 0; i < pairs_.captions.size(); ++i) pairs_.kind_of[i].resize(pairs_.captions[i].size(), -1);
  }
  return std::move(pairs_);
}

}  // namespace vitrail::data
