// Resizing and cropping, equal byte for byte to Pillow 9.4's Image.resize and torchvision 0.14's geometry.
#pragma once

#include "vitrail/data/image/image.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace vitrail::data {

/// Bicubic has a = -0.5. All but nearest widen their support when shrinking (antialiasing).
enum class Filter { nearest, box, bilinear, hamming, bicubic, lanczos };
/// The filter's name.
std::string to_string(Filter filter);
/// Throws ConfigError for another name.
Filter parse_filter(std::string_view name);

/// A rectangle of an image, in pixels.
struct Box {
  int64_t top = 0, left = 0, height = 0, width = 0;
  bool operator==(const Box&) const = default;
};
std::string to_string(const Box& box);

/// Resizes the whole image: rows first, then columns, each rounded to 8 bits; weights have 22 fraction bits. A
/// direction that keeps its size is skipped. Throws: ShapeError for an empty image or size.
Image resize(const Image& image, ImageSize size, Filter filter);
/// padded_crop of resize(image, size, filter), computing only the pixels inside box. Time and memory follow the box and
/// the image, whatever `size` is. Throws as resize.
Image resize_and_crop(const Image& image, ImageSize size, const Box& box, Filter filter);
/// The pixels of box. Throws ShapeError if it is not inside the image.
Image crop(const Image& image, const Box& box);
/// crop, then resize; the filter reads no pixel outside of the box. Throws as crop and resize.
Image resized_crop(const Image& image, const Box& box, ImageSize size, Filter filter);

/// A rectangle whose borders may lie inside pixels.
struct SubpixelBox {
  double top = 0, left = 0, height = 0, width = 0;
};
/// The part `kept` of the rectangle resized to `size`. The filter reads no pixel that the rectangle does not touch.
Image resized_crop(const Image& image, const SubpixelBox& box, ImageSize size, const Box& kept, Filter filter);

/// The size with the shorter side set to `shorter`; the longer side becomes int(shorter * long / short).
ImageSize resize_shorter(ImageSize size, int64_t shorter);
/// The box of a centred square of side crop. Offsets round half to even; they are negative where the image is smaller.
Box center_box(ImageSize size, int64_t crop);
/// The centred square of side crop, black where the image is smaller.
Image center_crop(const Image& image, int64_t crop);
/// The pixels of box, black where it leaves the image.
Image padded_crop(const Image& image, const Box& box);

}  // namespace vitrail::data
