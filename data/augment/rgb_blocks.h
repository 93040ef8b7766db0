// Images as blocks of pixels with separate channels, so that loops over pixels vectorise.
#pragma once

#include "vitrail/data/image/image.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace vitrail::data {

/// Some pixels, one array a channel.
struct RgbBlock {
  static constexpr int64_t kPixels = 512;
  alignas(64) std::array<uint8_t, kPixels> r, g, b;
};

namespace detail {

using Bytes16 = uint8_t __attribute__((vector_size(16)));

inline Bytes16 load16(const uint8_t* from) {
  Bytes16 v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
inline void store16(uint8_t* to, Bytes16 v) { std::memcpy(to, &v, sizeof v); }

/// 16 pixels apart. A channel's bytes are collected from the first two vectors, then from the third.
inline void split16(const uint8_t* rgb, uint8_t* r, uint8_t* g, uint8_t* b) {
  const Bytes16 x = load16(rgb), y = load16(rgb + 16), z = load16(rgb + 32);
  const Bytes16 r2 = __builtin_shufflevector(x, y, 0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, -1, -1, -1, -1, -1);
  const Bytes16 g2 = __builtin_shufflevector(x, y, 1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31, -1, -1, -1, -1, -1);
  const Bytes16 b2 = __builtin_shufflevector(x, y, 2, 5, 8, 11, 14, 17, 20, 23, 26, 29, -1, -1, -1, -1, -1, -1);
  store16(r, __builtin_shufflevector(r2, z, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 17, 20, 23, 26, 29));
  store16(g, __builtin_shufflevector(g2, z, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 18, 21, 24, 27, 30));
  store16(b, __builtin_shufflevector(b2, z, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 19, 22, 25, 28, 31));
}

/// 16 pixels together: red and green, then blue between them.
inline void join16(const uint8_t* r, const uint8_t* g, const uint8_t* b, uint8_t* rgb) {
  const Bytes16 x = load16(r), y = load16(g), z = load16(b);
  const Bytes16 rg0 = __builtin_shufflevector(x, y, 0, 16, -1, 1, 17, -1, 2, 18, -1, 3, 19, -1, 4, 20, -1, 5);
  const Bytes16 rg1 = __builtin_shufflevector(x, y, 21, -1, 6, 22, -1, 7, 23, -1, 8, 24, -1, 9, 25, -1, 10, 26);
  const Bytes16 rg2 = __builtin_shufflevector(x, y, -1, 11, 27, -1, 12, 28, -1, 13, 29, -1, 14, 30, -1, 15, 31, -1);
  store16(rgb, __builtin_shufflevector(rg0, z, 0, 1, 16, 3, 4, 17, 6, 7, 18, 9, 10, 19, 12, 13, 20, 15));
  store16(rgb + 16, __builtin_shufflevector(rg1, z, 0, 21, 2, 3, 22, 5, 6, 23, 8, 9, 24, 11, 12, 25, 14, 15));
  store16(rgb + 32, __builtin_shufflevector(rg2, z, 26, 1, 2, 27, 4, 5, 28, 7, 8, 29, 10, 11, 30, 13, 14, 31));
}

}  // namespace detail

/// Splits interleaved bytes [pixels, 3] into three planes. At most RgbBlock::kPixels pixels.
inline void split(const uint8_t* rgb, int64_t pixels, RgbBlock& block) {
  int64_t i = 0;
  for (; i + 16 <= pixels; i += 16)
    detail::split16(rgb + 3 * i, block.r.data() + i, block.g.data() + i, block.b.data() + i);
  for (; i < pixels; ++i) {
    block.r[size_t(i)] = rgb[3 * i];
    block.g[size_t(i)] = rgb[3 * i + 1];
    block.b[size_t(i)] = rgb[3 * i + 2];
  }
}

/// The inverse of split().
inline void join(const RgbBlock& block, int64_t pixels, uint8_t* rgb) {
  int64_t i = 0;
  for (; i + 16 <= pixels; i += 16)
    detail::join16(block.r.data() + i, block.g.data() + i, block.b.data() + i, rgb + 3 * i);
  for (; i < pixels; ++i) {
    rgb[3 * i] = block.r[size_t(i)];
    rgb[3 * i + 1] = block.g[size_t(i)];
    rgb[3 * i + 2] = block.b[size_t(i)];
  }
}

/// fn(block, pixels) for all pixels of the image, in order.
template <class F>
void for_each_block(const Image& image, F&& fn) {
  RgbBlock block{};
  const int64_t all = image.height() * image.width();
  for (int64_t begin = 0; begin < all; begin += RgbBlock::kPixels) {
    const int64_t pixels = std::min(RgbBlock::kPixels, all - begin);
    split(image.data() + 3 * begin, pixels, block);
    fn(block, pixels);
  }
}

/// fn(block, pixels) changes the block; the image becomes what it leaves.
template <class F>
void transform_blocks(Image& image, F&& fn) {
  RgbBlock block{};
  const int64_t all = image.height() * image.width();
  for (int64_t begin = 0; begin < all; begin += RgbBlock::kPixels) {
    const int64_t pixels = std::min(RgbBlock::kPixels, all - begin);
    split(image.data() + 3 * begin, pixels, block);
    fn(block, pixels);
    join(block, pixels, image.data() + 3 * begin);
  }
}

}  // namespace vitrail::data
