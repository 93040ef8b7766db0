// Decodes a part of any bytes as an image. The bytes themselves choose the part, so that any image serves as a first
// input. The decoder returns pixels that hold the box, those of the whole image in full resolution, or throws IoError.
#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"
#include "vitrail/data/image/codec.h"

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

using namespace vitrail;

namespace {

std::optional<data::ImageSize> promised_size(std::span<const std::byte> file) {
  try {
    return data::image_size(file);
  } catch (const IoError&) {
    return std::nullopt;
  }
}

data::PartRequest any_part(data::ImageSize size, Rng& rng) {
  const int64_t height = 1 + rng.below(size.height), width = 1 + rng.below(size.width);
  return {{rng.below(size.height - height + 1), rng.below(size.width - width + 1), height, width},
          int64_t{1} << rng.below(4)};
}

void require(bool ok) {
  if (!ok) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t count) {
  const auto file = std::as_bytes(std::span(bytes, count));
  const auto size = promised_size(file);
  constexpr int64_t kQuick = 1 << 18;  // larger images are just as safe, but slow
  if (!size || size->height * size->width > kQuick) return 0;
  Rng rng(std::hash<std::string_view>()({reinterpret_cast<const char*>(bytes), count}), "part");
  try {
    data::PartRequest wanted;
    const data::ImagePart part =
        data::decode_part(file, [&](data::ImageSize promised) { return wanted = any_part(promised, rng); });
    require(part.whole == *size);
    require(part.shrink == 1 || part.shrink == wanted.shrink);
    const data::ImageSize target{1 + rng.below(20), 1 + rng.below(20)};
    require(data::resized_crop(part, wanted.box, target, data::Filter::bicubic).size() == target);
    if (part.shrink > 1) return 0;
    const data::Image whole = data::decode_image(file);  // throws for damage outside of the part
    const data::Box box{part.top, part.left, part.pixels.height(), part.pixels.width()};
    data::Image inside = part.pixels;
    inside.set_opacity({});
    require(inside == data::crop(whole, box));
  } catch (const IoError&) {
  }
  return 0;
}
