// A dataset whose images show their own numbers, for tests of the loader.
#pragma once

#include "vitrail/core/error.h"
#include "vitrail/data/sources/dataset.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace vitrail::data {

/// n images of 1 x 1; image i is the colour {i, i, i} and has label i % 7. Those in `broken` cannot be read.
class Numbers final : public Dataset {
 public:
  explicit Numbers(int64_t n, std::vector<int64_t> broken = {}) : n_(n), broken_(std::move(broken)) {}
  int64_t size() const override { return n_; }
  const std::vector<std::string>& classes() const override { return classes_; }
  int64_t label(int64_t index) const override { return index % 7; }
  std::string name(int64_t index) const override { return "number " + std::to_string(index); }
  Sample get(int64_t index) const override {
    if (std::find(broken_.begin(), broken_.end(), index) != broken_.end()) throw IoError("[image] cannot be decoded");
    Image image(1, 1);
    std::fill_n(image.data(), 3, uint8_t(index));
    return {std::move(image), label(index)};
  }

 private:
  int64_t n_;
  std::vector<int64_t> broken_;
  std::vector<std::string> classes_ = {"0", "1", "2", "3", "4", "5", "6"};
};

}  // namespace vitrail::data
