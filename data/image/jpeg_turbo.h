// JPEG pixels by libjpeg-turbo, where Vitrail was built with it. Without it stb_image decodes JPEGs: see codec.cpp.
#pragma once

#include "vitrail/data/image/image_part.h"

#include <cstddef>
#include <span>
#include <string_view>

namespace vitrail::data {

enum class JpegDecoder { turbo, stb };

/// The decoder that this build prefers.
JpegDecoder built_jpeg_decoder();
/// "libjpeg-turbo 2.1.5", "stb_image".
std::string_view name_of(JpegDecoder decoder);

/// The part of a JPEG, as stored: orientation is not looked at. Rows below the box are not read, and pixels outside of
/// it are not computed. The bytes are equal to Pillow's.
///
/// size: from the header. Throws IoError for damage in what is read, as check_jpeg words it; OutOfMemory.
ImagePart decode_by_turbo(std::span<const std::byte> file, ImageSize size, const PartRequest& request);

namespace testing {
/// The decoder in use. A test may choose the other one.
extern JpegDecoder jpeg_decoder;
}  // namespace testing

}  // namespace vitrail::data
