// Image operations of the reference files. A dataset holds the expected image; its attributes name the input image and
// hold the parameters.
#pragma once

#include "tools/reference/attributes.h"
#include "tools/reference/error_measure.h"
#include "tools/reference/reference_case.h"
#include "vitrail/data/image/image.h"
#include "vitrail/data/image/resize.h"

#include <algorithm>
#include <string>

namespace vitrail::reference {

inline data::Image to_image(const Tensor& pixels) {
  data::Image image(pixels.size(0), pixels.size(1));
  std::copy_n(pixels.data<uint8_t>(), pixels.numel(), image.data());
  return image;
}

inline Tensor to_tensor(const data::Image& image) {
  Tensor pixels = Tensor::empty({image.height(), image.width(), 3}, DType::u8);
  std::copy_n(image.data(), pixels.numel(), pixels.data<uint8_t>());
  return pixels;
}

inline data::Filter filter_of(const Attributes& a) { return data::parse_filter(a.text("resample")); }

/// Runs an operation on the image that the attribute names. Every byte must be equal.
template <data::Image operation(const data::Image&, const Attributes&)>
Outcome run_image(const hdf5::Reader& file, const std::string& path, DType) {
  const Attributes a(file, path);
  const data::Image got = operation(to_image(file.read("images/" + a.text("image"))), a);
  Outcome outcome;
  outcome.add(max_difference(to_tensor(got), file.read(path)), 0);
  return outcome;
}

}  // namespace vitrail::reference
