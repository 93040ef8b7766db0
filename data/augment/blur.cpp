#include "vitrail/data/augment/blur.h"

#include "vitrail/core/error.h"
#include "vitrail/data/augment/color.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace vitrail::data {
namespace {

constexpr int kFractionBits = 24;

/// A box of fractional radius in fixed point: whole pixels have weight `inner`, the two at its ends `outer`.
struct BoxKernel {
  int64_t radius;
  uint32_t inner, outer;
};

BoxKernel box_kernel(float radius) {
  const int64_t whole = int64_t(radius);
  const uint32_t inner = uint32_t(float(1 << kFractionBits) / (radius * 2 + 1));
  return {whole, inner, ((1u << kFractionBits) - uint32_t(2 * whole + 1) * inner) / 2};
}

/// Computes out[i] from the bytes at taps[0] + i to taps[2 radius + 2] + i, one block at a time so that the sums stay
/// in cache. Sum is wide enough for the sum of 2 radius + 1 bytes.
template <class Sum>
void blur_run(const uint8_t* const* taps, const BoxKernel& kernel, uint8_t* out, int64_t length) {
  constexpr int64_t kBlock = 64;
  const int64_t last = 2 * kernel.radius + 2;
  for (int64_t begin = 0; begin < length; begin += kBlock) {
    const auto blur_block = [&](size_t n) {
      std::array<Sum, kBlock> inner;
      std::array<uint16_t, kBlock> outer;
      const uint8_t *first = taps[0] + begin, *next = taps[1] + begin, *end = taps[last] + begin;
      for (size_t i = 0; i < n; ++i) outer[i] = uint16_t(first[i] + end[i]);
      for (size_t i = 0; i < n; ++i) inner[i] = next[i];
      for (int64_t tap = 2; tap < last; ++tap) {
        const uint8_t* more = taps[tap] + begin;
        for (size_t i = 0; i < n; ++i) inner[i] = Sum(inner[i] + more[i]);
      }
      for (size_t i = 0; i < n; ++i)
        out[begin + int64_t(i)] =
            uint8_t((kernel.inner * inner[i] + kernel.outer * outer[i] + (1u << (kFractionBits - 1))) >> kFractionBits);
    };
    if (begin + kBlock <= length)
      blur_block(kBlock);
    else
      blur_block(size_t(length - begin));
  }
}

void blur_run(const uint8_t* const* taps, const BoxKernel& kernel, uint8_t* out, int64_t length) {
  constexpr int64_t kWide = 128;  // 257 bytes fit 16 bits
  if (kernel.radius <= kWide)
    blur_run<uint16_t>(taps, kernel, out, length);
  else
    blur_run<uint32_t>(taps, kernel, out, length);
}

/// Blurs along rows. Copies of its end pixels pad each row, so the taps are shifted pointers.
void blur_rows(Image& image, const BoxKernel& kernel, int passes) {
  const int64_t margin = 3 * (kernel.radius + 1), bytes = 3 * image.width();
  std::vector<uint8_t> row(size_t(bytes + 2 * margin));
  std::vector<const uint8_t*> taps;
  for (int64_t tap = 0; tap <= 2 * kernel.radius + 2; ++tap) taps.push_back(row.data() + 3 * tap);
  for (int64_t y = 0; y < image.height(); ++y) {
    uint8_t* pixels = image.at(y, 0);
    for (int pass = 0; pass < passes; ++pass) {
      std::copy_n(pixels, bytes, row.data() + margin);
      for (int64_t i = 0; i < margin; i += 3) {
        std::copy_n(pixels, 3, row.data() + i);
        std::copy_n(pixels + bytes - 3, 3, row.data() + margin + bytes + i);
      }
      blur_run(taps.data(), kernel, pixels, bytes);
    }
  }
}

/// Blurs along columns. Keeps a copy of the rows before each pass, because later rows still need them.
void blur_columns(Image& image, const BoxKernel& kernel, int passes) {
  const int64_t reach = kernel.radius + 1, height = image.height(), bytes = 3 * image.width();
  Image before(image.size());
  std::vector<const uint8_t*> taps(size_t(2 * reach + 1));
  for (int pass = 0; pass < passes; ++pass) {
    std::swap(image, before);
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t k = -reach; k <= reach; ++k)
        taps[size_t(k + reach)] = before.at(std::clamp(y + k, int64_t{0}, height - 1), 0);
      blur_run(taps.data(), kernel, image.at(y, 0), bytes);
    }
  }
}

Image blur(Image image, float radius, int passes) {
  if (image.empty() || radius == 0) return image;
  const BoxKernel kernel = box_kernel(radius);
  blur_rows(image, kernel, passes);
  blur_columns(image, kernel, passes);
  return image;
}

}  // namespace

Image box_blur(Image image, double radius) {
  check<ConfigError>(radius >= 0, "box_blur", "radius {} is negative", radius);
  return blur(std::move(image), float(radius), 1);
}

Image gaussian_blur(Image image, double sigma) {
  check<ConfigError>(sigma >= 0, "gaussian_blur", "sigma {} is negative", sigma);
  if (sigma == 0) return image;
  // The box whose threefold convolution has the variance of the Gaussian; in f32, as the bytes depend on it.
  constexpr int kPasses = 3;
  const float variance = float(sigma) * float(sigma) / float(kPasses);
  const float side = float(std::sqrt(12.0 * double(variance) + 1.0));
  const float whole = float(std::floor((double(side) - 1.0) / 2.0));
  float fraction = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance);
  fraction /= 6 * (variance - (whole + 1) * (whole + 1));
  return blur(std::move(image), whole + fraction, kPasses);
}

Image adjust_sharpness(Image image, double factor) {
  if (image.height() < 3 || image.width() < 3) return image;
  const float f = float(factor);
  const Image before = image;
  const int64_t row = 3 * image.width();
  for (int64_t y = 1; y + 1 < image.height(); ++y) {
    const uint8_t* middle = before.at(y, 0);
    const uint8_t *above = middle - row, *below = middle + row;
    uint8_t* out = image.at(y, 0);
    for (int64_t i = 3; i < row - 3; ++i) {
      const int around = above[i - 3] + above[i] + above[i + 3] + middle[i - 3] + middle[i + 3] + below[i - 3] +
                         below[i] + below[i + 3];
      const int smooth = (2 * (around + 5 * middle[i]) + 13) / 26;  // to the nearest; the sum / 13 never ends in .5
      out[i] = blend(smooth, middle[i], f);
    }
  }
  return image;
}

GaussianBlur::GaussianBlur(double min_sigma, double max_sigma) : min_sigma_(min_sigma), max_sigma_(max_sigma) {
  check<ConfigError>(0 <= min_sigma && min_sigma <= max_sigma, "gaussian_blur", "sigma from {} to {}", min_sigma,
                     max_sigma);
}

}  // namespace vitrail::data
