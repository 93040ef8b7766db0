#include "vitrail/data/sources/array_dataset.h"

#include "vitrail/core/error.h"

#include <algorithm>
#include <utility>

namespace vitrail::data {
namespace {

class ArrayDataset final : public Dataset {
 public:
  explicit ArrayDataset(PixelArray array) : array_(std::move(array)) {}

  int64_t size() const override { return array_.images.size(0); }
  const std::vector<std::string>& classes() const override { return array_.classes; }
  int64_t label(int64_t index) const override {
    return array_.labels.empty() ? kNoLabel : array_.labels.at(size_t(index));
  }
  Bytes encoded(int64_t) const override { return {}; }

  Sample get(int64_t index) const override {
    const Tensor pixels = array_.images.select(0, index);  // [H, W, C]
    const int64_t channels = pixels.size(2);
    const uint8_t* from = pixels.data<uint8_t>();
    Image image(pixels.size(0), pixels.size(1));
    uint8_t* to = image.data();
    for (int64_t y = 0; y < pixels.size(0); ++y)
      for (int64_t x = 0; x < pixels.size(1); ++x)
        for (int64_t c = 0; c < 3; ++c)
          *to++ = from[y * pixels.stride(0) + x * pixels.stride(1) + (channels == 1 ? 0 : c) * pixels.stride(2)];
    if (channels == 4) set_opacity(image, pixels);
    return {std::move(image), label(index)};
  }

  std::string name(int64_t index) const override {
    for (const PixelArray::Source& source : array_.sources) {
      if (index < source.images) return source.path + "[" + std::to_string(index) + "]";
      index -= source.images;
    }
    return "[" + std::to_string(index) + "]";
  }

 private:
  /// From the fourth channel.
  static void set_opacity(Image& image, const Tensor& pixels) {
    std::vector<uint8_t> opacity;
    for (int64_t y = 0; y < pixels.size(0); ++y)
      for (int64_t x = 0; x < pixels.size(1); ++x)
        opacity.push_back(pixels.data<uint8_t>()[y * pixels.stride(0) + x * pixels.stride(1) + 3 * pixels.stride(2)]);
    if (std::any_of(opacity.begin(), opacity.end(), [](uint8_t o) { return o < 255; }))
      image.set_opacity(std::move(opacity));
  }

  PixelArray array_;
};

/// Class names for labels without names: "0", "1", ...
std::vector<std::string> numbers_up_to(int64_t largest) {
  std::vector<std::string> names;
  for (int64_t i = 0; i <= largest; ++i) names.push_back(std::to_string(i));
  return names;
}

constexpr int64_t kMostClasses = 1 << 20;

}  // namespace

std::unique_ptr<Dataset> make_array_dataset(PixelArray array, const SourceOptions& options) {
  const std::string path = array.sources.empty() ? std::string("array") : array.sources.front().path;
  const Shape& shape = array.images.shape();
  check<DataError>(shape.rank() == 4 && (shape[3] == 1 || shape[3] == 3 || shape[3] == 4), "dataset",
                   "{}: images are [N, H, W, C] with C 1, 3 or 4; here {}", path, shape);
  check<DataError>(shape.numel() > 0, "dataset", "{}: no images; the array is {}", path, shape);
  if (!options.labelled || array.labels.empty()) {
    array.labels.clear();
    array.classes.clear();
    return std::make_unique<ArrayDataset>(std::move(array));
  }
  check<DataError>(int64_t(array.labels.size()) == shape[0], "dataset", "{}: {} labels for {} images", path,
                   array.labels.size(), shape[0]);
  const auto [least, largest] = std::minmax_element(array.labels.begin(), array.labels.end());
  if (!options.classes.empty()) array.classes = options.classes;
  const int64_t limit = array.classes.empty() ? kMostClasses : int64_t(array.classes.size());
  check<DataError>(*least >= 0 && *largest < limit, "dataset", "{}: labels run from {} to {}; they must be 0 to {}",
                   path, *least, *largest, limit - 1);
  if (array.classes.empty()) array.classes = numbers_up_to(*largest);
  return std::make_unique<ArrayDataset>(std::move(array));
}

}  // namespace vitrail::data
