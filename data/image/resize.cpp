#include "vitrail/data/image/resize.h"

#include "vitrail/core/error.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

namespace vitrail::data {
namespace {

constexpr int kWeightBits = 22;
constexpr int32_t kHalf = 1 << (kWeightBits - 1);

double box(double x) { return x > -0.5 && x <= 0.5 ? 1 : 0; }

double bilinear(double x) { return std::max(1.0 - std::abs(x), 0.0); }

double hamming(double x) {
  x = std::abs(x) * std::numbers::pi;
  if (x == 0) return 1;
  return x < std::numbers::pi ? std::sin(x) / x * (0.54 + 0.46 * std::cos(x)) : 0;
}

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

double lanczos(double x) {
  const auto sinc = [](double v) { return v == 0 ? 1 : std::sin(v * std::numbers::pi) / (v * std::numbers::pi); };
  return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

struct Kernel {
  Filter filter;
  std::string_view name;
  double support;  // weights are 0 farther than this from the centre
  double (*weight)(double);
};

constexpr std::array<Kernel, 6> kKernels = {{{Filter::nearest, "nearest", 0, nullptr},
                                             {Filter::box, "box", 0.5, box},
                                             {Filter::bilinear, "bilinear", 1, bilinear},
                                             {Filter::hamming, "hamming", 1, hamming},
                                             {Filter::bicubic, "bicubic", 2, bicubic},
                                             {Filter::lanczos, "lanczos", 3, lanczos}}};

const Kernel& kernel_of(Filter filter) { return kKernels[size_t(filter)]; }

// Output positions first, first + 1, ..., of which only these are computed.
struct Run {
  int64_t first, count;
  int64_t end() const { return first + count; }
};

// One direction of a resize: the stretch [begin, begin + extent) of in_size positions becomes out_size positions, of
// which `kept` are computed.
struct Axis {
  int64_t in_size, out_size;
  Run kept;
  double begin = 0, extent = double(in_size);
  bool keeps_size() const { return in_size == out_size && begin == 0 && extent == double(in_size); }
};

// For each kept output position, its run of input positions and their weights.
struct Taps {
  std::vector<Run> runs;
  std::vector<int32_t> weights;  // stride a run
  int64_t stride = 0;

  const int32_t* weights_of(int64_t out) const { return weights.data() + out * stride; }
  // The input positions that some run reads. Runs move to the right.
  Run input() const { return {runs.front().first, runs.back().end() - runs.front().first}; }
};

Taps make_taps(const Axis& axis, Filter filter) {
  const Kernel& kernel = kernel_of(filter);
  const int64_t in_size = axis.in_size, out_size = axis.kept.count;
  const double scale = axis.extent / double(axis.out_size);
  const double widening = std::max(scale, 1.0);
  const double support = kernel.support * widening;

  Taps taps;
  taps.stride = int64_t(std::ceil(support)) * 2 + 1;
  taps.runs.resize(size_t(out_size));
  taps.weights.resize(size_t(out_size * taps.stride));
  std::vector<double> exact(size_t(taps.stride));
  for (int64_t out = 0; out < out_size; ++out) {
    const double center = axis.begin + (double(axis.kept.first + out) + 0.5) * scale;
    const int64_t first = std::max(int64_t(center - support + 0.5), int64_t{0});
    const int64_t count = std::min(int64_t(center + support + 0.5), in_size) - first;
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) {
      exact[size_t(i)] = kernel.weight((double(i + first) - center + 0.5) * (1.0 / widening));
      sum += exact[size_t(i)];
    }
    for (int64_t i = 0; i < count; ++i) {
      const double weight = sum != 0 ? exact[size_t(i)] / sum : exact[size_t(i)];
      taps.weights[size_t(out * taps.stride + i)] = int32_t(std::copysign(0.5, weight) + weight * (1 << kWeightBits));
    }
    taps.runs[size_t(out)] = {first, count};
  }
  return taps;
}

uint8_t to_byte(int32_t sum) { return uint8_t(std::clamp(sum >> kWeightBits, 0, 255)); }

// Part of an image, without copying it.
struct View {
  const uint8_t* pixels;
  int64_t row_bytes;
  ImageSize size;

  const uint8_t* row(int64_t y) const { return pixels + y * row_bytes; }
};

using Bytes16 = uint8_t __attribute__((vector_size(16)));

/// Transposes 16 x 16 bytes: to[i][r] = from[r][i]. Each of four rounds interleaves the first half of the rows with the
/// second half.
void transpose16(const std::array<const uint8_t*, 16>& from, uint8_t* const* to) {
  std::array<Bytes16, 16> rows, mixed;
  for (size_t i = 0; i < 16; ++i) std::memcpy(&rows[i], from[i], 16);
  for (int round = 0; round < 4; ++round) {
    for (size_t i = 0; i < 8; ++i) {
      const Bytes16 a = rows[i], b = rows[i + 8];
      mixed[2 * i] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      mixed[2 * i + 1] = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    rows = mixed;
  }
  for (size_t i = 0; i < 16; ++i) std::memcpy(to[i], &rows[i], 16);
}

/// Sixteen rows side by side: byte b of row r is at [16 b + r], so that one weight applies to 48 bytes in a row.
class Panel {
 public:
  static constexpr int64_t kRows = 16;
  using Rows = std::array<uint8_t*, kRows>;

  explicit Panel(int64_t row_bytes) : row_bytes_(row_bytes), bytes_(size_t(row_bytes * kRows)) {}

  uint8_t* at(int64_t byte) { return bytes_.data() + byte * kRows; }
  void read(const std::array<const uint8_t*, kRows>& rows) {
    int64_t b = 0;
    for (; b + kRows <= row_bytes_; b += kRows) {
      std::array<const uint8_t*, kRows> from;
      Rows to;
      for (size_t r = 0; r < kRows; ++r) {
        from[r] = rows[r] + b;
        to[r] = at(b + int64_t(r));
      }
      transpose16(from, to.data());
    }
    for (; b < row_bytes_; ++b)
      for (size_t r = 0; r < kRows; ++r) at(b)[r] = rows[r][b];
  }
  /// Writes the panel to the first `count` rows.
  void write(const Rows& rows, int64_t count) {
    int64_t b = 0;
    for (; b + kRows <= row_bytes_ && count == kRows; b += kRows) {
      std::array<const uint8_t*, kRows> from;
      Rows to;
      for (size_t r = 0; r < kRows; ++r) {
        from[r] = at(b + int64_t(r));
        to[r] = rows[r] + b;
      }
      transpose16(from, to.data());
    }
    for (; b < row_bytes_; ++b)
      for (size_t r = 0; r < size_t(count); ++r) rows[r][b] = at(b)[r];
  }

 private:
  int64_t row_bytes_;
  std::vector<uint8_t> bytes_;
};

// One output has too few taps to fill a vector, and their number varies. Sixteen rows share their taps, so they are
// computed together.
Image resize_rows(const View& in, const Taps& taps) {
  constexpr int64_t kPixel = 3 * Panel::kRows;
  const Run read = taps.input();
  const int64_t width = int64_t(taps.runs.size());
  Image out(in.size.height, width);
  Panel wide(read.count * 3), narrow(width * 3);
  for (int64_t top = 0; top < in.size.height; top += Panel::kRows) {
    const int64_t count = std::min(Panel::kRows, in.size.height - top);
    std::array<const uint8_t*, Panel::kRows> from;
    Panel::Rows to{};
    for (int64_t r = 0; r < Panel::kRows; ++r) from[size_t(r)] = in.row(top + std::min(r, count - 1)) + read.first * 3;
    for (int64_t r = 0; r < count; ++r) to[size_t(r)] = out.at(top + r, 0);
    wide.read(from);
    for (int64_t x = 0; x < width; ++x) {
      const auto [first, tap_count] = taps.runs[size_t(x)];
      const int32_t* weight = taps.weights_of(x);
      const uint8_t* pixel = wide.at((first - read.first) * 3);
      std::array<int32_t, kPixel> sum;
      sum.fill(kHalf);
      for (int64_t i = 0; i < tap_count; ++i, pixel += kPixel)
        for (size_t b = 0; b < kPixel; ++b) sum[b] += weight[i] * pixel[b];
      uint8_t* result = narrow.at(x * 3);
      for (size_t b = 0; b < kPixel; ++b) result[b] = to_byte(sum[b]);
    }
    narrow.write(to, count);
  }
  return out;
}

// Each output row is a weighted sum of input rows; a block of bytes at a time keeps the sums in registers. Row 0 of
// `in` is the input row first_row.
Image resize_columns(const View& in, const Taps& taps, int64_t first_row) {
  constexpr int64_t kBlock = 32;
  const int64_t bytes = in.size.width * 3, height = int64_t(taps.runs.size());
  Image out(height, in.size.width);
  for (int64_t y = 0; y < height; ++y) {
    const auto [first, count] = taps.runs[size_t(y)];
    const int32_t* weight = taps.weights_of(y);
    const auto sum_block = [&, top = first - first_row, rows = count](int64_t begin, int64_t length) {
      std::array<int32_t, kBlock> sum;
      sum.fill(kHalf);
      for (int64_t i = 0; i < rows; ++i) {
        const uint8_t* from = in.row(top + i) + begin;
        for (int64_t b = 0; b < length; ++b) sum[size_t(b)] += weight[i] * from[b];
      }
      for (int64_t b = 0; b < length; ++b) out.at(y, 0)[begin + b] = to_byte(sum[size_t(b)]);
    };
    int64_t begin = 0;
    for (; begin + kBlock <= bytes; begin += kBlock) sum_block(begin, kBlock);
    sum_block(begin, bytes - begin);
  }
  return out;
}

// Positions are added up like in Pillow, not multiplied, because the rounding of the sum decides ties. So the kept
// positions are reached from the first one.
std::vector<int64_t> nearest_positions(const Axis& axis) {
  const double step = axis.extent / double(axis.out_size);
  double at = axis.begin + step * 0.5;
  for (int64_t i = 0; i < axis.kept.first; ++i) at += step;
  std::vector<int64_t> positions;
  for (; int64_t(positions.size()) < axis.kept.count; at += step)
    positions.push_back(std::min(int64_t(at), axis.in_size - 1));
  return positions;
}

Image resize_nearest(const View& in, const Axis& vertical, const Axis& horizontal) {
  const auto rows = nearest_positions(vertical);
  const auto columns = nearest_positions(horizontal);
  Image out(vertical.kept.count, horizontal.kept.count);
  for (int64_t y = 0; y < out.height(); ++y)
    for (int64_t x = 0; x < out.width(); ++x)
      std::copy_n(in.row(rows[size_t(y)]) + columns[size_t(x)] * 3, 3, out.at(y, x));
  return out;
}

Image copy(const View& view) {
  Image out(view.size);
  for (int64_t y = 0; y < view.size.height; ++y) std::copy_n(view.row(y), view.size.width * 3, out.at(y, 0));
  return out;
}

View part(const View& in, const Run& rows, const Run& columns) {
  return {in.row(rows.first) + columns.first * 3, in.row_bytes, {rows.count, columns.count}};
}

void expect_pixels(ImageSize in, ImageSize out) {
  check<ShapeError>(in.height > 0 && in.width > 0 && out.height > 0 && out.width > 0, "resize", "from {} to {}", in,
                    out);
}

// Nothing but the kept positions is computed, and the input is read only where it counts.
Image resize(const View& in, const Axis& vertical, const Axis& horizontal, Filter filter) {
  if (vertical.keeps_size() && horizontal.keeps_size()) return copy(part(in, vertical.kept, horizontal.kept));
  if (filter == Filter::nearest) return resize_nearest(in, vertical, horizontal);
  if (vertical.keeps_size())
    return resize_rows(part(in, vertical.kept, {0, in.size.width}), make_taps(horizontal, filter));
  const Taps taps = make_taps(vertical, filter);
  const Run rows = taps.input();
  if (horizontal.keeps_size()) return resize_columns(part(in, rows, horizontal.kept), taps, rows.first);
  const Image narrow = resize_rows(part(in, rows, {0, in.size.width}), make_taps(horizontal, filter));
  return resize_columns({narrow.data(), narrow.width() * 3, narrow.size()}, taps, rows.first);
}

// The box `kept` of the resized image.
Image resize(const View& in, ImageSize size, const Box& kept, Filter filter) {
  expect_pixels(in.size, size);
  return resize(in, Axis{in.size.height, size.height, {kept.top, kept.height}},
                Axis{in.size.width, size.width, {kept.left, kept.width}}, filter);
}

// The pixels that a rectangle touches.
Box cover(const SubpixelBox& box) {
  const double top = std::floor(box.top), left = std::floor(box.left);
  return {int64_t(top), int64_t(left), int64_t(std::ceil(box.top + box.height) - top),
          int64_t(std::ceil(box.left + box.width) - left)};
}

Box whole(ImageSize size) { return {0, 0, size.height, size.width}; }

Box intersection(const Box& a, const Box& b) {
  const int64_t top = std::max(a.top, b.top), left = std::max(a.left, b.left);
  return {top, left, std::max(std::min(a.top + a.height, b.top + b.height) - top, int64_t{0}),
          std::max(std::min(a.left + a.width, b.left + b.width) - left, int64_t{0})};
}

View view_of(const Image& image, const Box& box, std::string_view op) {
  check<ShapeError>(box.top >= 0 && box.left >= 0 && box.height >= 0 && box.width >= 0 &&
                        box.top + box.height <= image.height() && box.left + box.width <= image.width(),
                    op, "box {} is not inside an image of {}", box, image.size());
  return {image.at(box.top, box.left), image.width() * 3, {box.height, box.width}};
}

// round(n / 2), half to even.
int64_t round_half(int64_t n) { return int64_t(std::nearbyint(double(n) / 2)); }

int64_t center_offset(int64_t size, int64_t crop) {
  return size >= crop ? round_half(size - crop) : -((crop - size) / 2);
}

}  // namespace

std::string to_string(Filter filter) { return std::string(kernel_of(filter).name); }

Filter parse_filter(std::string_view name) {
  std::string names;
  for (const Kernel& kernel : kKernels) {
    if (kernel.name == name) return kernel.filter;
    names += (names.empty() ? "" : ", ") + std::string(kernel.name);
  }
  fail<ConfigError>("filter", "'{}' is not one of {}", name, names);
}

std::string to_string(const Box& box) {
  return to_string(ImageSize{box.height, box.width}) + " at row " + std::to_string(box.top) + ", column " +
         std::to_string(box.left);
}

Image resize(const Image& image, ImageSize size, Filter filter) {
  return resize(View{image.data(), image.width() * 3, image.size()}, size, whole(size), filter);
}

Image resize_and_crop(const Image& image, ImageSize size, const Box& box, Filter filter) {
  expect_pixels(image.size(), size);
  const Box kept = intersection(box, whole(size));
  Image inside;
  if (kept.height > 0 && kept.width > 0)
    inside = resize(View{image.data(), image.width() * 3, image.size()}, size, kept, filter);
  if (!inside.empty() && kept == box) return inside;
  return padded_crop(inside, {box.top - kept.top, box.left - kept.left, box.height, box.width});
}

Image crop(const Image& image, const Box& box) { return copy(view_of(image, box, "crop")); }

Image resized_crop(const Image& image, const Box& box, ImageSize size, Filter filter) {
  return resize(view_of(image, box, "resized_crop"), size, whole(size), filter);
}

Image resized_crop(const Image& image, const SubpixelBox& box, ImageSize size, const Box& kept, Filter filter) {
  const Box pixels = cover(box);
  const View in = view_of(image, pixels, "resized_crop");
  expect_pixels(in.size, size);
  const Axis vertical{in.size.height, size.height, {kept.top, kept.height}, box.top - double(pixels.top), box.height},
      horizontal{in.size.width, size.width, {kept.left, kept.width}, box.left - double(pixels.left), box.width};
  return resize(in, vertical, horizontal, filter);
}

ImageSize resize_shorter(ImageSize size, int64_t shorter) {
  const auto longer = [&](int64_t short_side, int64_t long_side) {
    return int64_t(double(shorter * long_side) / double(short_side));
  };
  if (size.width <= size.height) return {longer(size.width, size.height), shorter};
  return {shorter, longer(size.height, size.width)};
}

Box center_box(ImageSize size, int64_t crop) {
  return {center_offset(size.height, crop), center_offset(size.width, crop), crop, crop};
}

Image center_crop(const Image& image, int64_t crop) { return padded_crop(image, center_box(image.size(), crop)); }

Image padded_crop(const Image& image, const Box& box) {
  Image out(box.height, box.width);
  const int64_t left = std::max(box.left, int64_t{0}), right = std::min(box.left + box.width, image.width());
  if (left >= right) return out;
  for (int64_t y = std::max(box.top, int64_t{0}); y < std::min(box.top + box.height, image.height()); ++y)
    std::copy_n(image.at(y, left), (right - left) * 3, out.at(y - box.top, left - box.left));
  return out;
}

}  // namespace vitrail::data
