// The one way into and out of JPEG, PNG, BMP and WebP files. The bytes are untrusted: sizes are checked before decoding
// and memory is capped. Every error is an IoError that names its cause.
#pragma once

#include "vitrail/data/image/image.h"
#include "vitrail/data/image/image_part.h"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace vitrail::data {

/// Decodes a JPEG, PNG, BMP or WebP, turned upright by its EXIF orientation. A WebP needs a build with libwebp.
///
/// Grey and palettes become RGB, 16 bits keep the upper 8, CMYK is converted. Transparency is kept beside the colours:
/// see Image::opacity.
/// Throws IoError for other formats, files over 64 MiB, sides over 16384, more than 2^26 pixels, and files that are
/// damaged or truncated, even if a part of the image could be shown. docs/data.md lists the damage that it finds.
Image decode_image(std::span<const std::byte> file);
/// decode_image of a file; the error names the path.
Image read_image(const std::filesystem::path& path);
/// The size that decode_image would give, from the header alone.
ImageSize image_size(std::span<const std::byte> file);

/// Decodes a part of an image. Calls `request` once with the size of the image; it returns a box inside.
///
/// A JPEG gives the part if the build has libjpeg-turbo. Every other file gives the whole image in full resolution.
/// With shrink 1 the pixels equal those of decode_image. Damage in rows below the box goes unnoticed. Throws as
/// decode_image.
ImagePart decode_part(std::span<const std::byte> file, const std::function<PartRequest(ImageSize)>& request);

/// What decodes JPEG and WebP files in this build, with versions: "libjpeg-turbo 2.1.5" or "stb_image"; "libwebp 1.2.4"
/// or "none". Decoders differ by a few levels in their pixels.
std::string jpeg_decoder_name();
std::string webp_decoder_name();

/// The bytes of a PNG file; opacity is not written. Throws ShapeError for an empty image.
std::vector<std::byte> encode_png(const Image& image);
/// The bytes of a baseline JPEG file with full chroma, quality 1 to 100; opacity is not written. Throws ShapeError for
/// an empty image.
std::vector<std::byte> encode_jpeg(const Image& image, int quality);
/// Writes the PNG file durably.
void write_png(const std::filesystem::path& path, const Image& image);

}  // namespace vitrail::data
