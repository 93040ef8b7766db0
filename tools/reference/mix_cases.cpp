#include "tools/reference/attributes.h"
#include "tools/reference/error_measure.h"
#include "tools/reference/reference_case.h"
#include "vitrail/core/error.h"
#include "vitrail/data/augment/mixup.h"
#include "vitrail/data/augment/random_erasing.h"

namespace vitrail::reference {

namespace {

using hdf5::Reader;

constexpr double kFloatImage = 1e-6;  // absolute

/// The corners in the file, yl, yh, xl, xh, as a box.
data::Box box_of(std::span<const int64_t> corners) {
  return {corners[0], corners[2], corners[1] - corners[0], corners[3] - corners[2]};
}

// ---- random erasing -------------------------------------------------------------------------------------------------

/// The sides from the drawn areas and aspect ratios, then the image with the file's values in its rectangles.
Outcome run_erasing(const Reader& file, const std::string& path, DType) {
  const Attributes a(file, path);
  const Tensor image = file.read(path + "/inputs/image").clone();  // [3, H, W]
  const Tensor rects = file.read(path + "/inputs/rects"), draws = file.read(path + "/inputs/draws");
  const data::ImageSize size{image.size(1), image.size(2)};
  Outcome outcome;
  data::RandomErasing::Params params;
  for (int64_t i = 0; i < rects.size(0); ++i) {
    const auto rect = rects.select(0, i).span<int64_t>();
    const auto draw = draws.select(0, i).span<double>();
    const data::Box sides = data::erase_box(size, draw[0], draw[1]);
    outcome.add(sides.height == rect[2] && sides.width == rect[3] ? 0 : 1, 0);
    const auto values = file.read(path + "/inputs/fill_" + std::to_string(i)).to_vector();
    params.push_back({{rect[0], rect[1], rect[2], rect[3]}, {values.begin(), values.end()}});
  }
  Tensor erased = image;
  data::RandomErasing({}).apply(erased.span<float>(), size, params);
  outcome.add(max_difference(erased, file.read(path + "/outputs/image")), kFloatImage);
  return outcome;
}

// ---- mixup, CutMix --------------------------------------------------------------------------------------------------

/// Boxes from the drawn lambda and centre. Rows: H, W, cy, cx, yl, yh, xl, xh.
Outcome run_boxes(const Reader& file, const std::string& path, DType) {
  const Tensor rows = file.read(path), lambdas = file.read("rand_bbox/lam");
  Outcome outcome;
  for (int64_t i = 0; i < rows.size(0); ++i) {
    const auto row = rows.select(0, i).span<int64_t>();
    const double lambda = lambdas.select(0, i).span<double>()[0];
    const data::Box got = data::cutmix_box({row[0], row[1]}, lambda, row[2], row[3]);
    outcome.add(got == box_of(row.subspan(4)) ? 0 : 1, 0);
  }
  return outcome;
}

/// Lambda, corrected for the clipped box. Rows: drawn, corrected.
Outcome run_corrected_lambda(const Reader& file, const std::string& path, DType) {
  const Tensor rows = file.read("rand_bbox/boxes"), lambdas = file.read(path);
  Outcome outcome;
  for (int64_t i = 0; i < rows.size(0); ++i) {
    const auto row = rows.select(0, i).span<int64_t>();
    const double got = data::lambda_of({row[0], row[1]}, box_of(row.subspan(4)));
    outcome.add(std::abs(got - lambdas.select(0, i).span<double>()[1]), 1e-12);
  }
  return outcome;
}

/// In batch mode the attributes hold the one mix; otherwise the inputs hold a mix per pair or sample.
data::Mixup::Params mixes_of(const Reader& file, const std::string& path, int64_t batch) {
  const Attributes a(file, path);
  if (!a.has("mode")) {
    data::Mix mix{.lambda = a("lam"), .cutmix = a("cutmix") != 0};
    if (mix.cutmix) {
      const auto corners = a.numbers("box");
      mix.box = box_of(std::vector<int64_t>(corners.begin(), corners.end()));
    }
    return data::Mixup::Params(size_t(batch), mix);
  }
  const auto lambdas = file.read(path + "/inputs/lam").to_vector();
  const auto cutmix = file.read(path + "/inputs/cutmix").to_vector();
  const Tensor boxes = file.read(path + "/inputs/box");
  data::Mixup::Params params(static_cast<size_t>(batch));
  for (int64_t i = 0; i < batch; ++i) {
    const int64_t from = std::min(i, boxes.size(0) == batch ? i : batch - 1 - i);
    params[size_t(i)] = {lambdas[size_t(from)], cutmix[size_t(from)] != 0,
                         box_of(boxes.select(0, from).span<int64_t>())};
  }
  return params;
}

Outcome run_mixup(const Reader& file, const std::string& path, DType) {
  const Attributes a(file, path);
  Tensor images = file.read(path + "/inputs/images").clone();  // [B, C, H, W]
  const auto params = mixes_of(file, path, images.size(0));
  const data::Mixup mixup({.label_smoothing = a("smoothing")});
  mixup.apply(images, params);
  const Tensor targets = mixup.targets(file.read(path + "/inputs/labels"), a.integer("num_classes", 0), params);
  Outcome outcome;
  outcome.add(max_difference(images, file.read(path + "/outputs/images")), kFloatImage);
  outcome.add(max_difference(targets, file.read(path + "/outputs/targets")), kFloatImage);
  return outcome;
}

}  // namespace

std::vector<CaseKind> mix_kinds() {
  return {{"random_erasing/", run_erasing},
          {"rand_bbox/boxes", run_boxes},
          {"rand_bbox/lam", run_corrected_lambda},
          {"mixup/", run_mixup}};
}

}  // namespace vitrail::reference
