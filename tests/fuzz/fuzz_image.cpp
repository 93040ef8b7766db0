// Decodes any bytes as an image, with each decoder of JPEGs. The decoder returns pixels of the size in the header, with
// an opacity for each or for none, or throws IoError.
#include "vitrail/core/error.h"
#include "vitrail/data/image/background.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/image/jpeg_turbo.h"

#include <cstdlib>
#include <optional>

using namespace vitrail;

namespace {

std::optional<data::ImageSize> promised_size(std::span<const std::byte> file) {
  try {
    return data::image_size(file);
  } catch (const IoError&) {
    return std::nullopt;
  }
}

void decode(std::span<const std::byte> file, const std::optional<data::ImageSize>& promised) {
  try {
    const data::Image image = data::decode_image(file);
    if (image.size() != promised || int64_t(image.pixels().size()) != image.height() * image.width() * 3) std::abort();
    const auto clear = int64_t(image.opacity().size());
    if (clear != 0 && clear != image.height() * image.width()) std::abort();
    if (!data::Background(1, 2, 3).under(image).opacity().empty()) std::abort();
  } catch (const IoError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  const auto promised = promised_size(file);
  constexpr int64_t kQuick = 1 << 18;  // larger images are just as safe, but slow
  if (promised && promised->height * promised->width > kQuick) return 0;
  for (const data::JpegDecoder decoder : {data::JpegDecoder::stb, data::built_jpeg_decoder()}) {
    data::testing::jpeg_decoder = decoder;
    decode(file, promised);
  }
  return 0;
}
