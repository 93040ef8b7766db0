#include "vitrail/data/augment/policy_ops.h"

#include "vitrail/core/error.h"
#include "vitrail/data/augment/blur.h"
#include "vitrail/data/augment/color.h"
#include "vitrail/data/augment/tones.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace vitrail::data {
namespace {

// Arguments at magnitude m, of 10.
double factor(double m) { return m / 10 * 1.8 + 0.1; }
double factor_change(double m) { return m / 10 * 0.9; }  // about 1
double degrees(double m) { return m / 10 * 30; }
double shear(double m) { return m / 10 * 0.3; }
double pixels(double m) { return m / 10 * 100; }
double share_of_side(double m) { return m / 10 * 0.45; }
double bits(double m) { return double(int(m / 10 * 4)); }
double bits_lost(double m) { return 4 - bits(m); }
double bits_over_four(double m) { return bits(m) + 4; }
double threshold(double m) { return std::min(256.0, double(int(m / 10 * 256))); }
double threshold_lost(double m) { return 256 - threshold(m); }
double added(double m) { return std::min(128.0, double(int(m / 10 * 110))); }
double share_of_grey(double m) { return std::clamp(0.5 + 0.5 * (m / 10), 0.5, 1.0); }
double share(double m) { return std::clamp(m / 10, 0.0, 1.0); }
double sigma(double m) { return std::clamp(0.1 + (2 - 0.1) * (m / 10), 0.1, 2.0); }

template <Image fn(Image)>
Image without_argument(Image image, double, const Warp&) {
  return fn(std::move(image));
}
template <Image fn(Image, double)>
Image with_number(Image image, double argument, const Warp&) {
  return fn(std::move(image), argument);
}
template <Image fn(const Image&, double, const Warp&)>
Image warped(Image image, double argument, const Warp& warp) {  // NOLINT(performance-unnecessary-value-param): like all
  return fn(image, argument, warp);
}
Image posterize_to(Image image, double argument) { return posterize(std::move(image), int(argument)); }
Image solarize_from(Image image, double argument) { return solarize(std::move(image), int(argument)); }
Image solarize_adding(Image image, double argument) { return solarize_add(std::move(image), int(argument)); }
double draw_sigma(double share_of_largest, Rng& rng) { return rng.uniform(0.1, 2 * share_of_largest); }
Image desaturate(Image image, double argument) { return adjust_saturation(std::move(image), 1 - argument); }
Image translate_x_rel(const Image& image, double share, const Warp& warp) {
  return translate_x(image, share * double(image.width()), warp);
}
Image translate_y_rel(const Image& image, double share, const Warp& warp) {
  return translate_y(image, share * double(image.height()), warp);
}

constexpr std::array kOps = {
    PolicyOp{"AutoContrast", nullptr, false, without_argument<auto_contrast>},
    PolicyOp{"Equalize", nullptr, false, without_argument<equalize>},
    PolicyOp{"Invert", nullptr, false, without_argument<invert>},
    PolicyOp{"Rotate", degrees, true, warped<rotate>},
    PolicyOp{"Posterize", bits, false, with_number<posterize_to>},
    PolicyOp{"PosterizeIncreasing", bits_lost, false, with_number<posterize_to>},
    PolicyOp{"PosterizeOriginal", bits_over_four, false, with_number<posterize_to>},
    PolicyOp{"Solarize", threshold, false, with_number<solarize_from>},
    PolicyOp{"SolarizeIncreasing", threshold_lost, false, with_number<solarize_from>},
    PolicyOp{"SolarizeAdd", added, false, with_number<solarize_adding>},
    PolicyOp{"Color", factor, false, with_number<adjust_saturation>},
    PolicyOp{"ColorIncreasing", factor_change, true, with_number<adjust_saturation>},
    PolicyOp{"Contrast", factor, false, with_number<adjust_contrast>},
    PolicyOp{"ContrastIncreasing", factor_change, true, with_number<adjust_contrast>},
    PolicyOp{"Brightness", factor, false, with_number<adjust_brightness>},
    PolicyOp{"BrightnessIncreasing", factor_change, true, with_number<adjust_brightness>},
    PolicyOp{"Sharpness", factor, false, with_number<adjust_sharpness>},
    PolicyOp{"SharpnessIncreasing", factor_change, true, with_number<adjust_sharpness>},
    PolicyOp{"ShearX", shear, true, warped<shear_x>},
    PolicyOp{"ShearY", shear, true, warped<shear_y>},
    PolicyOp{"TranslateX", pixels, true, warped<translate_x>},
    PolicyOp{"TranslateY", pixels, true, warped<translate_y>},
    PolicyOp{"TranslateXRel", share_of_side, true, warped<translate_x_rel>},
    PolicyOp{"TranslateYRel", share_of_side, true, warped<translate_y_rel>},
    PolicyOp{"Desaturate", share_of_grey, false, with_number<desaturate>},
    PolicyOp{"GaussianBlur", sigma, false, with_number<gaussian_blur>},
    PolicyOp{"GaussianBlurRand", share, false, with_number<gaussian_blur>, draw_sigma},
};

}  // namespace

double PolicyOp::argument_at(double magnitude, bool negated) const {
  if (argument == nullptr) return 0;
  const double value = argument(magnitude), with_sign = is_signed && negated ? -value : value;
  return argument == factor_change ? std::max(0.1, 1 + with_sign) : with_sign;
}

std::span<const PolicyOp> policy_ops() { return kOps; }

const PolicyOp& policy_op(std::string_view name) {
  std::string names;
  for (const PolicyOp& op : kOps) {
    if (op.name == name) return op;
    names += (names.empty() ? "" : ", ") + std::string(op.name);
  }
  fail<ConfigError>("policy_op", "'{}' is not one of {}", name, names);
}

}  // namespace vitrail::data
