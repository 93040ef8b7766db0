#include "tools/reference/crop_statistics.h"

#include "tools/reference/attributes.h"
#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"
#include "vitrail/data/augment/random_resized_crop.h"

#include <algorithm>
#include <cmath>

namespace vitrail::reference {
namespace {

constexpr int kDraws = 100000;

class Moments {
 public:
  void add(double v) {
    ++count_;
    sum_ += v;
    squares_ += v * v;
  }
  double mean() const { return sum_ / count_; }
  double deviation() const { return std::sqrt(std::max(0.0, squares_ / count_ - mean() * mean())); }
  bool empty() const { return count_ == 0; }

 private:
  double count_ = 0, sum_ = 0, squares_ = 0;
};

struct CropMoments {
  Moments area, aspect, log_aspect, top_fraction, left_fraction;
};

CropMoments draw(const data::RandomResizedCrop& crop, data::ImageSize size) {
  CropMoments m;
  Rng rng(1, "random_resized_crop");
  for (int i = 0; i < kDraws; ++i) {
    const data::Box box = crop.sample(rng, size);
    const double aspect = double(box.width) / double(box.height);
    m.area.add(double(box.height * box.width) / double(size.height * size.width));
    m.aspect.add(aspect);
    m.log_aspect.add(std::log(aspect));
    if (box.height < size.height) m.top_fraction.add(double(box.top) / double(size.height - box.height));
    if (box.width < size.width) m.left_fraction.add(double(box.left) / double(size.width - box.width));
  }
  return m;
}

/// The file has -1 for a fraction that is undefined because the box always fills the side.
void compare(const Moments& got, const Attributes& expected, const std::string& name, Outcome& outcome) {
  const double mean = expected((name + "_mean").c_str()), deviation = expected((name + "_std").c_str());
  if (deviation < 0 || got.empty()) return outcome.add(deviation < 0 && got.empty() ? 0 : 2, 1);
  constexpr double kRounding = 1e-9, kDeviationRounding = 1e-5;
  const double mean_may = 6 * deviation * std::sqrt(2.0 / kDraws) + kRounding;
  outcome.add(std::abs(got.mean() - mean) / mean_may, 1);
  outcome.add(std::abs(got.deviation() - deviation) / (0.015 * deviation + kDeviationRounding), 1);
}

}  // namespace

Outcome run_crop_statistics(const hdf5::Reader& file, const std::string& path, DType) {
  const Attributes a(file, path);
  const auto pair = [&](const char* name) {
    const auto values = file.attribute<std::vector<double>>(path, name);
    check<IoError>(values.size() == 2, "crop_statistics", "{} has {} values of {}", path, values.size(), name);
    return std::pair(values[0], values[1]);
  };
  const auto [min_scale, max_scale] = pair("scale");
  const auto [min_ratio, max_ratio] = pair("ratio");
  const data::RandomResizedCrop crop(
      {.min_scale = min_scale, .max_scale = max_scale, .min_ratio = min_ratio, .max_ratio = max_ratio});
  const CropMoments got = draw(crop, {a.integer("height", 0), a.integer("width", 0)});
  Outcome outcome;
  compare(got.area, a, "area", outcome);
  compare(got.aspect, a, "aspect", outcome);
  compare(got.log_aspect, a, "log_aspect", outcome);
  compare(got.top_fraction, a, "top_fraction", outcome);
  compare(got.left_fraction, a, "left_fraction", outcome);
  return outcome;
}

}  // namespace vitrail::reference
