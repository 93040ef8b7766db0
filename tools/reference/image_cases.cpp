#include "tools/reference/attributes.h"
#include "tools/reference/crop_statistics.h"
#include "tools/reference/error_measure.h"
#include "tools/reference/image_operation.h"
#include "vitrail/core/error.h"
#include "vitrail/data/augment/center_crop.h"
#include "vitrail/data/augment/flip.h"
#include "vitrail/data/augment/normalize.h"
#include "vitrail/data/image/image.h"
#include "vitrail/data/image/resize.h"

namespace vitrail::reference {

namespace {

using data::Image;
using hdf5::Reader;

Image resize(const Image& image, const Attributes& a) {
  return data::resize(image, {a.integer("height", 0), a.integer("width", 0)}, filter_of(a));
}

Image resized_crop(const Image& image, const Attributes& a) {
  const data::Box box{a.integer("top", 0), a.integer("left", 0), a.integer("height", 0), a.integer("width", 0)};
  return data::resized_crop(image, box, {a.integer("size", 0), a.integer("size", 0)}, filter_of(a));
}

/// The shorter side to `resize`, then the centred square of side `crop`.
Image resize_and_center_crop(const Image& image, const Attributes& a) {
  const data::ImageSize size = data::resize_shorter({image.height(), image.width()}, a.integer("resize", 0));
  return data::center_crop(data::resize(image, size, filter_of(a)), a.integer("crop", 0));
}

Image hflip(const Image& image, const Attributes&) { return data::flip_horizontal(image); }
Image vflip(const Image& image, const Attributes&) { return data::flip_vertical(image); }

/// Rows of width, height and size, then the new width and height.
Outcome run_resize_shorter(const Reader& file, const std::string& path, DType) {
  Outcome outcome;
  const Tensor rows = file.read(path);
  for (int64_t i = 0; i < rows.size(0); ++i) {
    const auto row = rows.select(0, i).span<int64_t>();
    const data::ImageSize got = data::resize_shorter({row[1], row[0]}, row[2]);
    outcome.add(got.width == row[3] && got.height == row[4] ? 0 : 1, 0);
  }
  return outcome;
}

/// Rows of width, height and crop, then top and left.
Outcome run_center_crop(const Reader& file, const std::string& path, DType) {
  Outcome outcome;
  const Tensor rows = file.read(path);
  for (int64_t i = 0; i < rows.size(0); ++i) {
    const auto row = rows.select(0, i).span<int64_t>();
    const data::Box got = data::center_box({row[1], row[0]}, row[2]);
    outcome.add(got.top == row[3] && got.left == row[4] ? 0 : 1, 0);
  }
  return outcome;
}

// ---- floats ---------------------------------------------------------------------------------------------------------

constexpr double kFloatImage = 1e-6;  // absolute

Outcome compare_floats(const Image& image, const data::Normalize& normalize, const Tensor& expected) {
  Tensor got = Tensor::empty({3, image.height(), image.width()});
  normalize(image, got.span<float>());
  Outcome outcome;
  outcome.add(max_difference(got, expected), kFloatImage);
  return outcome;
}

data::Normalize::Channels channels(const Reader& file, const std::string& path, const char* name) {
  const auto values = file.attribute<std::vector<double>>(path, name);
  check<IoError>(values.size() == 3, "normalize", "{} has {} values of {}", path, values.size(), name);
  return {values[0], values[1], values[2]};
}

Outcome run_normalize(const Reader& file, const std::string& path, DType) {
  const data::Normalize normalize(channels(file, path, "mean"), channels(file, path, "std"));
  return compare_floats(to_image(file.read("images/" + Attributes(file, path).text("image"))), normalize,
                        file.read(path));
}

/// The evaluation transforms of CLIP, which resizes to n_px, and of timm, which resizes to img_size / crop_pct.
Outcome run_eval_float(const Reader& file, const std::string& path, DType) {
  const Attributes a(file, path);
  const bool is_clip = a.has("n_px");
  const int64_t side = a.integer(is_clip ? "n_px" : "img_size", 0);
  const int64_t shorter = is_clip ? side : int64_t(double(side) / a("crop_pct"));
  const Image image = data::ResizeCenterCrop(shorter, side).apply(to_image(file.read("images/" + a.text("image"))), {});
  const data::Normalize clip({0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711});
  const data::Normalize imagenet(data::kImageNetMean, data::kImageNetStd);
  return compare_floats(image, is_clip ? clip : imagenet, file.read(path));
}

}  // namespace

std::vector<CaseKind> image_kinds() {
  return {{"resize/", run_image<resize>},
          {"resized_crop/", run_image<resized_crop>},
          {"eval_small/", run_image<resize_and_center_crop>},
          {"eval_resize", run_image<resize_and_center_crop>},
          {"resize_geometry/resize_shorter", run_resize_shorter},
          {"resize_geometry/center_crop", run_center_crop},
          {"hflip/", run_image<hflip>},
          {"vflip/", run_image<vflip>},
          {"normalize/", run_normalize},
          {"eval_float/", run_eval_float},
          {"random_resized_crop_statistics/", run_crop_statistics}};
}

}  // namespace vitrail::reference
