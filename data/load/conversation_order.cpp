#include "vitrail/data/load/conversation_order.h"

#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"

#include <algorithm>
#include <unordered_map>

namespace vitrail::data {

ConversationOrder::ConversationOrder(const ConversationIds& ids, std::span<const int64_t> image_of, Grouping grouping,
                                     int64_t batch_size, uint64_t seed)
    : grouping_(grouping), batch_size_(batch_size), seed_(seed) {
  check<ConfigError>(batch_size > 0, "conversation_order", "batch_size is {}; it must be positive", batch_size);
  for (int64_t i = 0; i < ids.size(); ++i) {
    lengths_.push_back(ids.tokens(i));
    images_.push_back(image_of[size_t(ids.source(i))]);
  }
}

std::vector<int64_t> ConversationOrder::operator()(int64_t epoch) const {
  if (grouping_ == Grouping::length) return by_length(epoch);
  if (grouping_ == Grouping::image) return by_image(epoch);
  return Rng(seed_, "shuffle", uint64_t(epoch)).permutation(int64_t(lengths_.size()));
}

std::vector<int64_t> ConversationOrder::by_length(int64_t epoch) const {
  constexpr int64_t kStretch = 50;  // batches that are sorted together
  Rng rng(seed_, "length order", uint64_t(epoch));
  std::vector<int64_t> kinds[2];
  for (const int64_t i : rng.permutation(int64_t(lengths_.size()))) kinds[images_[size_t(i)] >= 0].push_back(i);
  std::vector<int64_t> batches, rest;
  for (const std::vector<int64_t>& kind : kinds) {
    const int64_t whole = int64_t(kind.size()) / batch_size_ * batch_size_;
    for (int64_t begin = 0; begin < whole; begin += kStretch * batch_size_) {
      std::vector<int64_t> stretch(kind.begin() + begin,
                                   kind.begin() + std::min(begin + kStretch * batch_size_, whole));
      std::stable_sort(stretch.begin(), stretch.end(),
                       [&](int64_t a, int64_t b) { return lengths_[size_t(a)] < lengths_[size_t(b)]; });
      batches.insert(batches.end(), stretch.begin(), stretch.end());
    }
    rest.insert(rest.end(), kind.begin() + whole, kind.end());
  }
  std::vector<int64_t> order;
  for (const int64_t batch : rng.permutation(int64_t(batches.size()) / batch_size_)) {
    const auto begin = batches.begin() + batch * batch_size_;
    order.insert(order.end(), begin, begin + batch_size_);
  }
  order.insert(order.end(), rest.begin(), rest.end());
  return order;
}

std::vector<int64_t> ConversationOrder::by_image(int64_t epoch) const {
  // The first question of each image in a random order says where all of its questions are.
  std::vector<std::vector<int64_t>> groups;
  std::unordered_map<int64_t, size_t> group_of;
  for (const int64_t i : Rng(seed_, "image order", uint64_t(epoch)).permutation(int64_t(lengths_.size()))) {
    const int64_t image = images_[size_t(i)];
    const auto [known, fresh] = image < 0 ? std::pair(group_of.end(), true) : group_of.emplace(image, groups.size());
    if (fresh)
      groups.push_back({i});
    else
      groups[known->second].push_back(i);
  }
  std::vector<int64_t> order;
  for (const std::vector<int64_t>& group : groups) order.insert(order.end(), group.begin(), group.end());
  return order;
}

}  // namespace vitrail::data
