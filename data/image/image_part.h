// ImagePart: the pixels of an image that a crop needs, perhaps at a fraction of their resolution.
//
// A photograph of 12 megapixels takes a hundred times longer to decode than a crop of 224 x 224 needs. A random crop is
// drawn from the image's size alone, so it is known before the decoder runs: see codec.h, decode_part.
#pragma once

#include "vitrail/data/image/resize.h"

#include <cstdint>
#include <span>
#include <utility>

namespace vitrail::data {

/// The part of an image to decode: a box, with one pixel for each shrink x shrink of its pixels. shrink: 1, 2, 4 or 8.
struct PartRequest {
  Box box;
  int64_t shrink = 1;
};

/// Pixels that stand for a part of an image.
struct ImagePart {
  ImagePart() = default;
  /// All of an image.
  explicit ImagePart(Image all) : pixels(std::move(all)), whole(pixels.size()) {}

  Image pixels;
  ImageSize whole;            // the size of the image
  int64_t top = 0, left = 0;  // where pixels begin in the image; before 0 if the first ones stand for less
  int64_t shrink = 1;         // each pixel stands for shrink x shrink of the image's

  bool is_whole() const { return shrink == 1 && pixels.size() == whole; }  ///< all of the image
};

/// All of an image of that size, in full resolution.
PartRequest whole_image(ImageSize size);

/// A box of an image, in the image's pixels, that becomes `target`.
struct Demand {
  Box box;
  ImageSize target;
};
/// The smallest part that serves all demands: its box holds theirs, and shrink is the largest that leaves each box at
/// least as many pixels as its target, in both directions. Throws ShapeError if there is none.
PartRequest request_for(std::span<const Demand> demands);

/// resized_crop of the image that the part belongs to. box: in the image's pixels. Where shrink is 1 the result is
/// equal, else it is a resize of fewer pixels. Throws ShapeError if the part does not hold the box.
Image resized_crop(const ImagePart& part, const Box& box, ImageSize size, Filter filter);
/// The same for resize_and_crop; the part holds all of the image.
Image resize_and_crop(const ImagePart& part, ImageSize size, const Box& box, Filter filter);

}  // namespace vitrail::data
