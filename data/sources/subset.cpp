#include "vitrail/data/sources/subset.h"

#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace vitrail::data {
namespace {

class Subset final : public Dataset {
 public:
  Subset(std::unique_ptr<Dataset> whole, std::vector<int64_t> indices)
      : whole_(std::move(whole)), indices_(std::move(indices)) {}

  int64_t size() const override { return int64_t(indices_.size()); }
  const std::vector<std::string>& classes() const override { return whole_->classes(); }
  int64_t label(int64_t index) const override { return whole_->label(at(index)); }
  Sample get(int64_t index) const override { return whole_->get(at(index)); }
  std::string name(int64_t index) const override { return whole_->name(at(index)); }
  Bytes encoded(int64_t index) const override { return whole_->encoded(at(index)); }
  std::vector<std::string> notes() const override { return whole_->notes(); }

 private:
  int64_t at(int64_t index) const { return indices_.at(size_t(index)); }

  std::unique_ptr<Dataset> whole_;
  std::vector<int64_t> indices_;
};

}  // namespace

std::unique_ptr<Dataset> subset(std::unique_ptr<Dataset> whole, std::vector<int64_t> indices) {
  for (const int64_t index : indices)
    check<ShapeError>(index >= 0 && index < whole->size(), "subset", "index {} is outside [0, {})", index,
                      whole->size());
  return std::make_unique<Subset>(std::move(whole), std::move(indices));
}

std::unique_ptr<Dataset> spread(std::unique_ptr<Dataset> whole, int64_t count) {
  if (count >= whole->size()) return whole;
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < count; ++i) indices.push_back(i * whole->size() / count);
  return subset(std::move(whole), std::move(indices));
}

Halves hold_out(const Dataset& whole, const std::string& root, double share, uint64_t seed) {
  check<ConfigError>(0 < share && share < 1, "hold_out", "the share is {}; it must be above 0 and below 1", share);
  std::map<int64_t, std::vector<std::pair<uint64_t, int64_t>>> by_class;  // hash and index of each image
  for (int64_t i = 0; i < whole.size(); ++i) {
    const std::string name = whole.name(i);
    std::string_view inner = name;
    if (inner.starts_with(root)) inner.remove_prefix(root.size());
    inner.remove_prefix(std::min(inner.find_first_not_of('/'), inner.size()));
    by_class[whole.label(i)].emplace_back(XXH3_64bits_withSeed(inner.data(), inner.size(), seed), i);
  }
  Halves out;
  for (auto& item : by_class) {
    auto& images = item.second;
    std::sort(images.begin(), images.end());
    const auto count = std::ssize(images);
    const int64_t wanted = std::clamp<int64_t>(std::llround(share * double(count)), std::min<int64_t>(1, count - 1),
                                               std::max<int64_t>(count - 1, 0));
    for (int64_t i = 0; i < count; ++i) (i < wanted ? out.held_out : out.kept).push_back(images[size_t(i)].second);
  }
  std::sort(out.kept.begin(), out.kept.end());
  std::sort(out.held_out.begin(), out.held_out.end());
  return out;
}

std::unique_ptr<Dataset> stratified_subset(std::unique_ptr<Dataset> whole, double share, uint64_t seed) {
  check<ConfigError>(0 < share && share <= 1, "subset", "the share is {}; it must be above 0 and at most 1", share);
  check<ConfigError>(!whole->classes().empty(), "subset", "the images have no classes to take shares of");
  if (share == 1) return whole;
  std::vector<std::vector<int64_t>> by_class(whole->classes().size());
  for (int64_t i = 0; i < whole->size(); ++i) by_class.at(size_t(whole->label(i))).push_back(i);

  std::vector<int64_t> chosen;
  for (size_t c = 0; c < by_class.size(); ++c) {
    const auto count = int64_t(by_class[c].size());
    if (count == 0) continue;
    const int64_t wanted = std::max<int64_t>(std::llround(share * double(count)), 1);
    const std::vector<int64_t> order = Rng(seed, "subset", c).permutation(count);
    for (int64_t i = 0; i < wanted; ++i) chosen.push_back(by_class[c][size_t(order[size_t(i)])]);
  }
  std::sort(chosen.begin(), chosen.end());
  return subset(std::move(whole), std::move(chosen));
}

}  // namespace vitrail::data
