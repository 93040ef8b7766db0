#include "vitrail/data/image/image_part.h"

#include "vitrail/core/error.h"

#include <algorithm>

namespace vitrail::data {
namespace {

/// The box in the part's pixels.
SubpixelBox in_pixels_of(const ImagePart& part, const Box& box) {
  const double scale = double(part.shrink);
  return {double(box.top - part.top) / scale, double(box.left - part.left) / scale, double(box.height) / scale,
          double(box.width) / scale};
}

}  // namespace

PartRequest whole_image(ImageSize size) { return {{0, 0, size.height, size.width}, 1}; }

PartRequest request_for(std::span<const Demand> demands) {
  check<ShapeError>(!demands.empty(), "request_for", "no part of the image is wanted");
  constexpr int64_t kMostShrink = 8;  // of the decoders
  PartRequest request{demands[0].box, kMostShrink};
  for (const Demand& demand : demands) {
    Box& all = request.box;
    const Box& box = demand.box;
    const int64_t bottom = std::max(all.top + all.height, box.top + box.height),
                  right = std::max(all.left + all.width, box.left + box.width);
    all.top = std::min(all.top, box.top);
    all.left = std::min(all.left, box.left);
    all.height = bottom - all.top;
    all.width = right - all.left;
    while (request.shrink > 1 &&
           (box.height < request.shrink * demand.target.height || box.width < request.shrink * demand.target.width))
      request.shrink /= 2;
  }
  return request;
}

Image resized_crop(const ImagePart& part, const Box& box, ImageSize size, Filter filter) {
  return resized_crop(part.pixels, in_pixels_of(part, box), size, {0, 0, size.height, size.width}, filter);
}

Image resize_and_crop(const ImagePart& part, ImageSize size, const Box& box, Filter filter) {
  if (part.is_whole()) return resize_and_crop(part.pixels, size, box, filter);
  const int64_t top = std::max(box.top, int64_t{0}), left = std::max(box.left, int64_t{0});
  const Box kept{top, left, std::min(box.top + box.height, size.height) - top,
                 std::min(box.left + box.width, size.width) - left};
  const Image inside = resized_crop(part.pixels, in_pixels_of(part, whole_image(part.whole).box), size, kept, filter);
  return kept == box ? inside : padded_crop(inside, {box.top - top, box.left - left, box.height, box.width});
}

}  // namespace vitrail::data
