// Synthetic scenes as data: images of coloured shapes with questions and captions. Image i of a part is a function of
// the seed, the part's name and i.
#pragma once

#include "vitrail/data/sources/conversations.h"
#include "vitrail/data/sources/pairs.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

struct ShapesOptions {
  std::vector<int64_t> levels{0, 1, 2, 3};  // see questions.h; image i is of level i % count of them
  int64_t train = 20000, val = 1000;        // images of the part train, and of each other part
  int64_t side = 64;                        // of an image, in pixels
  int64_t seed = 0;
  bool operator==(const ShapesOptions&) const = default;
};

/// "train", "val" and "test" are alike. "composition" shows combinations of colour and shape that no other part shows
/// or asks about; "paraphrase" asks in words that no other part uses.
std::vector<std::string> shapes_splits();

/// Throws ConfigError for levels, counts or a side that cannot be used; DataError for a split that is none.
std::unique_ptr<Dataset> shapes_images(const ShapesOptions& options, std::string_view split);
/// The images with a caption each. Throws as shapes_images.
Pairs shapes_pairs(const ShapesOptions& options, std::string_view split);
/// The images with four questions each. A family is the level and the kind of question: "L2 count". Throws as
/// shapes_images.
Conversations shapes_conversations(const ShapesOptions& options, std::string_view split);

}  // namespace vitrail::data
