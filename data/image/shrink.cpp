#include "vitrail/data/image/shrink.h"

#include "vitrail/data/image/codec.h"
#include "vitrail/data/image/jpeg_segments.h"
#include "vitrail/data/image/resize.h"

#include <algorithm>

namespace vitrail::data {

Shrunk shrink_file(Bytes& file, int64_t side) {
  constexpr int kQuality = 95;
  const ImageSize size = image_size(file);
  if (std::min(size.height, size.width) <= side) return Shrunk::no;
  const Image image = decode_image(file);
  if (!image.opacity().empty()) return Shrunk::transparent;
  const Image smaller = resize(image, resize_shorter(size, side), Filter::bicubic);
  file = is_jpeg(file) ? encode_jpeg(smaller, kQuality) : encode_png(smaller);
  return Shrunk::yes;
}

}  // namespace vitrail::data
