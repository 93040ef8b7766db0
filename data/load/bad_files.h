// Broken images met so far, and when there are too many. One list serves a whole run: every loader adds to it, and
// the recipe writes it to bad_files.tsv.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace vitrail::data {

class Dataset;

enum class OnError {
  fail,  // a broken image ends the run
  skip,  // the next good image of the set takes its place, with its own label
};

struct BadFile {
  std::string name, reason;
  bool operator==(const BadFile&) const = default;
};

/// Thread: every member may be called from several threads at once.
class BadFiles final {
 public:
  /// max_share of a dataset's images may be broken (reliability over silence: 1 in 100 by default).
  explicit BadFiles(OnError policy = OnError::fail, double max_share = 0.01) : policy_(policy), max_share_(max_share) {}

  OnError policy() const { return policy_; }
  /// Notes a broken image of a set, which must outlive this; each counts once.
  /// Throws DataError naming it under OnError::fail, or if the share of the set's broken images is now above
  /// max_share.
  void add(const Dataset& set, int64_t index, const std::string& reason);
  /// Each once, by name.
  std::vector<BadFile> list() const;

 private:
  OnError policy_;
  double max_share_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> reasons_;             // by name
  std::map<const Dataset*, std::set<int64_t>> broken_of_;  // images of each set
};

}  // namespace vitrail::data
