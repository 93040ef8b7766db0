// The list of broken images, and the limit on them. One list serves a whole run: every loader adds to it, and the
// recipe writes it to bad_files.tsv.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace vitrail::data {

class Dataset;

enum class OnError {
  fail,  // a broken image ends the run
  skip,  // the next good image of the dataset replaces it, with its own label
};

struct BadFile {
  std::string name, reason;
  bool operator==(const BadFile&) const = default;
};

/// Thread: every member may be called from several threads at once.
class BadFiles final {
 public:
  /// max_share: the share of a dataset's images that may be broken. cure: the way to skip broken images, for the error.
  explicit BadFiles(OnError policy = OnError::fail, double max_share = 0.01,
                    std::string cure = "data.on_error=skip replaces broken images")
      : policy_(policy), max_share_(max_share), cure_(std::move(cure)) {}

  /// The policy given to the constructor.
  OnError policy() const { return policy_; }
  /// Adds a broken image of a dataset; an image added twice counts once. The dataset must outlive this.
  /// Throws DataError naming the image under OnError::fail, or if more than max_share of the dataset's images are
  /// broken.
  void add(const Dataset& set, int64_t index, const std::string& reason);
  /// Each image once, sorted by name.
  std::vector<BadFile> list() const;

 private:
  OnError policy_;
  double max_share_;
  std::string cure_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> reasons_;             // by name
  std::map<const Dataset*, std::set<int64_t>> broken_of_;  // image indices of each dataset
};

}  // namespace vitrail::data
