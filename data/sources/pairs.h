// Pairs: images and their captions.
#pragma once

#include "vitrail/data/sources/dataset.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace vitrail::data {

struct Pairs {
  std::unique_ptr<Dataset> images;                 // unlabelled; size() == captions.size()
  std::vector<std::vector<std::string>> captions;  // of each image, at least one, in the order of the source
  std::vector<std::string> kinds;                  // the kinds of captions; empty if the source has no kinds
  std::vector<std::vector<int64_t>> kind_of;       // shaped like captions: an index into kinds, -1 for none; or empty
  int64_t left_out = 0;                            // images in archives or packed files without a caption
};

struct PairOptions {
  std::vector<std::string> kinds{};  // the kinds of captions to read (a table's column `kind`); empty: all
};

}  // namespace vitrail::data
