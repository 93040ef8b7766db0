#include "vitrail/data/image/webp.h"

#include "vitrail/core/error.h"
#include "vitrail/data/image/damage.h"
#include "vitrail/data/io/bytes.h"

#ifdef VITRAIL_WEBP
#include <fmt/format.h>
#include <webp/decode.h>

#include <algorithm>
#include <cstdint>
#include <vector>
#endif

namespace vitrail::data {

using namespace std::string_view_literals;

bool is_webp(std::span<const std::byte> bytes) {
  return starts_with(bytes, "RIFF"sv) && bytes.size() >= 12 && starts_with(bytes.subspan(8), "WEBP"sv);
}

std::span<const std::byte> webp_exif(std::span<const std::byte> file) {
  if (!is_webp(file)) return {};
  constexpr size_t kFirst = 12, kHeader = 8;  // a chunk: its name, its size, as many bytes, filled up to an even number
  for (size_t at = kFirst; at + kHeader <= file.size();) {
    const size_t size = *read_uint(file, at + 4, 4, ByteOrder::little);
    const ByteSpan rest = file.subspan(at + kHeader);
    if (size > rest.size()) return {};
    if (starts_with(file.subspan(at), "EXIF"sv)) {
      const ByteSpan exif = rest.first(size);
      return starts_with(exif, "Exif\0\0"sv) ? exif.subspan(6) : exif;  // some programs write this beginning too
    }
    at += kHeader + size + size % 2;
  }
  return {};
}

#ifndef VITRAIL_WEBP

bool reads_webp() { return false; }
std::string webp_decoder() { return "none"; }
ImageSize webp_size(std::span<const std::byte>) {
  fail<IoError>("decode_image",
                "the file is a WebP, and this build reads none; convert it to JPEG or PNG, or install libwebp-dev and "
                "build Vitrail again");
}
Image decode_webp(std::span<const std::byte> file, ImageSize) { return Image(webp_size(file)); }

#else

namespace {

const uint8_t* webp_bytes(std::span<const std::byte> file) { return reinterpret_cast<const uint8_t*>(file.data()); }

void check_webp(VP8StatusCode status) {
  check<OutOfMemory>(status != VP8_STATUS_OUT_OF_MEMORY, "decode_image", "no memory to decode the WebP");
  check<IoError>(status != VP8_STATUS_NOT_ENOUGH_DATA, "decode_image",
                 "the file is truncated: its pixels end too early");
  check<IoError>(status != VP8_STATUS_UNSUPPORTED_FEATURE, "decode_image",
                 "the file is a WebP of a kind that is not read; save it as an ordinary WebP");
  check_undamaged(status == VP8_STATUS_OK, "its WebP data cannot be decoded");
}

WebPBitstreamFeatures features_of(std::span<const std::byte> file) {
  WebPBitstreamFeatures features;
  check_webp(WebPGetFeatures(webp_bytes(file), file.size(), &features));
  check<IoError>(features.has_animation == 0, "decode_image",
                 "the file is an animated WebP, which is not read; save one image of it");
  return features;
}

}  // namespace

bool reads_webp() { return true; }
std::string webp_decoder() {
  const int version = WebPGetDecoderVersion();
  return fmt::format("libwebp {}.{}.{}", version >> 16, version >> 8 & 255, version & 255);
}

ImageSize webp_size(std::span<const std::byte> file) {
  const WebPBitstreamFeatures features = features_of(file);
  return {features.height, features.width};
}

Image decode_webp(std::span<const std::byte> file, ImageSize size) {
  WebPDecoderConfig config;
  check<IoError>(WebPInitDecoderConfig(&config) != 0, "decode_image", "libwebp is not the version that was built with");
  const bool alpha = features_of(file).has_alpha != 0;
  const int64_t pixels = size.height * size.width, channels = alpha ? 4 : 3;
  Image image(size);
  std::vector<uint8_t> with_alpha(alpha ? size_t(4 * pixels) : 0);
  config.output.colorspace = alpha ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = alpha ? with_alpha.data() : image.data();
  config.output.u.RGBA.stride = int(channels * size.width);
  config.output.u.RGBA.size = size_t(channels * pixels);
  const VP8StatusCode status = WebPDecode(webp_bytes(file), file.size(), &config);
  WebPFreeDecBuffer(&config.output);
  check_webp(status);
  if (!alpha) return image;
  std::vector<uint8_t> opacity(static_cast<size_t>(pixels));
  uint8_t* to = image.data();
  for (size_t i = 0; i < opacity.size(); ++i) {
    to = std::copy_n(&with_alpha[4 * i], 3, to);
    opacity[i] = with_alpha[4 * i + 3];
  }
  if (std::any_of(opacity.begin(), opacity.end(), [](uint8_t o) { return o < 255; }))
    image.set_opacity(std::move(opacity));
  return image;
}

#endif

}  // namespace vitrail::data
