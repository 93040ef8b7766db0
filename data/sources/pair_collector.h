// Builds Pairs caption by caption.
#pragma once

#include "vitrail/data/sources/pairs.h"

#include <functional>
#include <map>

namespace vitrail::data {

/// Call wants() and then add() for each caption, then finish() once.
class PairCollector final {
 public:
  explicit PairCollector(const PairOptions& options) : wanted_(options.kinds) {}

  /// Whether to add captions of that kind; "" is no kind. Must be called for every caption.
  bool wants(std::string_view kind);
  /// Adds a caption to image number `image`, which is known already or is the next number.
  void add(int64_t image, std::string_view text, std::string_view kind);
  /// The number of images added.
  int64_t size() const { return int64_t(pairs_.captions.size()); }

  /// Throws DataError naming source if there are no captions, or none of a wanted kind.
  Pairs finish(std::unique_ptr<Dataset> images, const std::string& source);

 private:
  std::vector<std::string> wanted_;
  std::map<std::string, int64_t, std::less<>> seen_;  // kinds, with their index among pairs_.kinds; -1 if not wanted
  Pairs pairs_;
};

}  // namespace vitrail::data
