#include "tools/reference/image_operation.h"
#include "vitrail/core/error.h"
#include "vitrail/data/augment/affine.h"
#include "vitrail/data/augment/blur.h"
#include "vitrail/data/augment/color.h"
#include "vitrail/data/augment/flip.h"
#include "vitrail/data/augment/hsv.h"
#include "vitrail/data/augment/policy_ops.h"
#include "vitrail/data/augment/tones.h"

namespace vitrail::reference {

namespace {

using data::Image;
using hdf5::Reader;

template <Image fn(Image)>
Image plain(const Image& image, const Attributes&) {
  return fn(image);
}
template <Image fn(Image, double)>
Image with_factor(const Image& image, const Attributes& a) {
  return fn(image, a("factor"));
}
template <Image fn(Image, double)>
Image with_radius(const Image& image, const Attributes& a) {
  return fn(image, a("radius"));
}

Image solarize(const Image& image, const Attributes& a) { return data::solarize(image, int(a("threshold"))); }
Image solarize_add(const Image& image, const Attributes& a) {
  return data::solarize_add(image, int(a("add")), int(a("threshold", 128)));
}
Image posterize(const Image& image, const Attributes& a) { return data::posterize(image, int(a("bits"))); }
Image desaturate(const Image& image, const Attributes& a) {
  return data::policy_op("Desaturate").apply(image, a("factor"), {});
}

data::Warp warp_of(const Attributes& a) {
  const auto fill = a.numbers("fill");
  check<IoError>(fill.size() == 3, "warp", "{} values of fill", fill.size());
  return {filter_of(a), {uint8_t(fill[0]), uint8_t(fill[1]), uint8_t(fill[2])}};
}
Image rotate(const Image& image, const Attributes& a) { return data::rotate(image, a("degrees"), warp_of(a)); }
Image shear_x(const Image& image, const Attributes& a) { return data::shear_x(image, a("factor"), warp_of(a)); }
Image shear_y(const Image& image, const Attributes& a) { return data::shear_y(image, a("factor"), warp_of(a)); }
Image translate_x_abs(const Image& image, const Attributes& a) {
  return data::translate_x(image, a("pixels"), warp_of(a));
}
Image translate_y_abs(const Image& image, const Attributes& a) {
  return data::translate_y(image, a("pixels"), warp_of(a));
}
Image translate_x_rel(const Image& image, const Attributes& a) {
  return data::policy_op("TranslateXRel").apply(image, a("pct"), warp_of(a));
}
Image translate_y_rel(const Image& image, const Attributes& a) {
  return data::policy_op("TranslateYRel").apply(image, a("pct"), warp_of(a));
}

/// Hue, saturation and value as the three channels.
Image hsv(const Image& image, const Attributes&) {
  Image result = image;
  data::transform_blocks(result, data::rgb_to_hsv);
  return result;
}

/// One channel of the grey image.
Outcome run_grayscale1(const Reader& file, const std::string& path, DType) {
  const Tensor grey = to_tensor(data::grayscale(to_image(file.read("images/" + Attributes(file, path).text("image")))));
  Outcome outcome;
  outcome.add(max_difference(grey.select(2, 0), file.read(path)), 0);
  return outcome;
}

/// DINO's view: crop, flip, jitter in the file's order, grey, blur, solarize. A flag of 0 skips its operation.
Image chain(const Image& image, const Attributes& a) {
  const data::Box box{a.integer("top", 0), a.integer("left", 0), a.integer("height", 0), a.integer("width", 0)};
  const int64_t size = a.integer("size", 0);
  Image result = data::resized_crop(image, box, {size, size}, data::Filter::bicubic);
  if (a("flip") != 0) result = data::flip_horizontal(std::move(result));
  data::ColorJitter::Params jitter;
  for (const double change : a.numbers("order")) {
    constexpr std::array kNames = {"brightness", "contrast", "saturation", "hue"};
    jitter.steps.at(size_t(jitter.count++)) = {data::ColorJitter::Change(int(change)), a(kNames.at(size_t(change)))};
  }
  result = data::ColorJitter({}).apply(std::move(result), jitter);
  if (a("gray") != 0) result = data::grayscale(std::move(result));
  if (a("radius") != 0) result = data::gaussian_blur(std::move(result), a("radius"));
  return a("solarize") != 0 ? data::solarize(std::move(result)) : result;
}

}  // namespace

std::vector<CaseKind> color_kinds() {
  return {{"adjust_brightness/", run_image<with_factor<data::adjust_brightness>>},
          {"adjust_contrast/", run_image<with_factor<data::adjust_contrast>>},
          {"adjust_saturation/", run_image<with_factor<data::adjust_saturation>>},
          {"adjust_hue/", run_image<with_factor<data::adjust_hue>>},
          {"hsv/", run_image<hsv>},
          {"grayscale1/", run_grayscale1},
          {"grayscale3/", run_image<plain<data::grayscale>>},
          {"desaturate/", run_image<desaturate>},
          {"auto_contrast/", run_image<plain<data::auto_contrast>>},
          {"equalize/", run_image<plain<data::equalize>>},
          {"invert/", run_image<plain<data::invert>>},
          {"posterize/", run_image<posterize>},
          {"solarize/", run_image<solarize>},
          {"solarize_add/", run_image<solarize_add>},
          {"box_blur/", run_image<with_radius<data::box_blur>>},
          {"gaussian_blur/", run_image<with_radius<data::gaussian_blur>>},
          {"sharpness/", run_image<with_factor<data::adjust_sharpness>>},
          {"rotate/", run_image<rotate>},
          {"shear_x/", run_image<shear_x>},
          {"shear_y/", run_image<shear_y>},
          {"translate_x_abs/", run_image<translate_x_abs>},
          {"translate_y_abs/", run_image<translate_y_abs>},
          {"translate_x_rel/", run_image<translate_x_rel>},
          {"translate_y_rel/", run_image<translate_y_rel>},
          {"chain/", run_image<chain>}};
}

}  // namespace vitrail::reference
