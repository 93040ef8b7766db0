#include "vitrail/data/augment/rand_augment.h"

#include "vitrail/core/error.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>

namespace vitrail::data {
namespace {

std::vector<const PolicyOp*> operations_of(bool increasing) {
  std::vector<const PolicyOp*> operations;
  for (const char* name : {"AutoContrast", "Equalize", "Invert", "Rotate"}) operations.push_back(&policy_op(name));
  for (const std::string name : {"Posterize", "Solarize"})
    operations.push_back(&policy_op(increasing ? name + "Increasing" : name));
  operations.push_back(&policy_op("SolarizeAdd"));
  for (const std::string name : {"Color", "Contrast", "Brightness", "Sharpness"})
    operations.push_back(&policy_op(increasing ? name + "Increasing" : name));
  for (const char* name : {"ShearX", "ShearY", "TranslateXRel", "TranslateYRel"})
    operations.push_back(&policy_op(name));
  return operations;
}

/// "mstd0.5" as its letters and its number.
struct Section {
  std::string_view key;
  double value;
};

Section parse_section(std::string_view section, std::string_view text) {
  const size_t digits = std::min(section.find_first_of("0123456789.-+"), section.size());
  const std::string_view number = section.substr(digits);
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  check<ConfigError>(digits > 0 && error == std::errc() && end == number.data() + number.size(), "rand_augment",
                     "'{}' in '{}' is not a letter and a number, such as m9", section, text);
  return {section.substr(0, digits), value};
}

}  // namespace

RandAugment::RandAugment(const Config& config) : config_(config), operations_(operations_of(config.increasing)) {
  check<ConfigError>(config.layers >= 1, "rand_augment", "{} layers; there must be at least one", config.layers);
  check<ConfigError>(0 <= config.probability && config.probability <= 1, "rand_augment",
                     "probability {} is not in [0, 1]", config.probability);
  check<ConfigError>(config.max_magnitude > 0 && config.magnitude >= 0 && config.magnitude_std >= 0, "rand_augment",
                     "magnitude {}, its deviation {} and end {} must not be negative", config.magnitude,
                     config.magnitude_std, config.max_magnitude);
}

double RandAugment::sample_magnitude(Rng& rng) const {
  const double m = config_.magnitude, deviation = config_.magnitude_std;
  const double drawn = deviation == 0 ? m : std::isinf(deviation) ? rng.uniform(0, m) : m + deviation * rng.normal();
  return std::clamp(drawn, 0.0, config_.max_magnitude);
}

RandAugment::Params RandAugment::sample(Rng& rng, ImageSize) const {
  Params params;
  for (int layer = 0; layer < config_.layers; ++layer) {
    const PolicyOp& op = *operations_[size_t(rng.below(int64_t(operations_.size())))];
    if (!rng.bernoulli(config_.probability)) continue;
    const double magnitude = sample_magnitude(rng);
    const double argument = op.argument_at(magnitude, op.is_signed && rng.bernoulli(0.5));
    params.push_back({&op, op.draw == nullptr ? argument : op.draw(argument, rng)});
  }
  return params;
}

Image RandAugment::apply(Image image, const Params& params) const {
  for (const auto& [op, argument] : params) image = op->apply(std::move(image), argument, config_.warp);
  return image;
}

RandAugment::Config parse_rand_augment(std::string_view text) {
  constexpr double kUniformFrom = 100;
  RandAugment::Config config;
  size_t dash = text.find('-');
  check<ConfigError>(text.substr(0, dash) == "rand", "rand_augment",
                     "'{}' does not begin with 'rand'; an example is rand-m9-mstd0.5-inc1", text);
  while (dash != text.npos) {
    const size_t next = text.find('-', dash + 1);
    const auto [key, value] = parse_section(text.substr(dash + 1, next - dash - 1), text);
    dash = next;
    if (key == "m")
      config.magnitude = value;
    else if (key == "mstd")
      config.magnitude_std = value > kUniformFrom ? std::numeric_limits<double>::infinity() : value;
    else if (key == "mmax")
      config.max_magnitude = value;
    else if (key == "n")
      config.layers = int(value);
    else if (key == "p")
      config.probability = value;
    else if (key == "inc")
      config.increasing = value != 0;
    else
      fail<ConfigError>("rand_augment", "'{}' in '{}' is not one of m, mstd, mmax, n, p, inc", key, text);
  }
  return config;
}

}  // namespace vitrail::data
