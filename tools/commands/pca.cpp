// vitrail pca: draws patch features as colours. Patches with similar features have similar colours.
#include "vitrail/recipes/eval/pca.h"

#include "tools/commands/commands.h"
#include "tools/commands/image_arguments.h"
#include "vitrail/core/ops.h"
#include "vitrail/data/draw/contact_sheet.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/recipes/eval/finite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

/// Scales each column of x [N, 3] to 0..255. The outermost 2 % at either end are clamped.
std::vector<uint8_t> to_bytes(const Tensor& x) {
  constexpr double kCut = 0.02;
  const std::vector<double> values = x.to_vector();
  std::vector<uint8_t> bytes(values.size());
  for (size_t c = 0; c < 3; ++c) {
    std::vector<double> column;
    for (size_t i = c; i < values.size(); i += 3) column.push_back(values[i]);
    std::sort(column.begin(), column.end());
    const auto quantile = [&](double share) { return column[size_t(share * double(column.size() - 1))]; };
    const double low = quantile(kCut), high = quantile(1 - kCut);
    for (size_t i = c; i < values.size(); i += 3)
      bytes[i] = uint8_t(std::lround(255 * std::clamp(high > low ? (values[i] - low) / (high - low) : 0.5, 0.0, 1.0)));
  }
  return bytes;
}

void pca(const ImageArguments& o) {
  const OpenModel model = o.open();
  expect_tokens(model, "pca");
  const int64_t size = o.side(model.preprocessing), patch = model.backbone->patch_size();
  std::vector<data::Image> images;
  std::vector<std::string> names;
  std::vector<Tensor> features;  // [patches, D]
  for (const Image& image : o.read()) {
    images.push_back(fit_to_patches(model.preprocessing.background.under(image.image), size, patch));
    names.push_back(image.name);
    features.push_back(model.tokens(to_input(images.back(), model.preprocessing)).patches.value().select(0, 0));
    expect_finite(features.back(), "pca", [&](int64_t i) { return fmt::format("{}, patch {}", image.name, i); });
  }
  const Tensor all = core::concat(features, 0);
  const std::vector<uint8_t> colors = to_bytes(fit_pca(all, 3).project(all));

  std::vector<data::Image> cells;
  std::vector<std::string> captions;
  auto color = colors.begin();
  for (size_t i = 0; i < images.size(); ++i) {
    data::Image map(images[i].height() / patch, images[i].width() / patch);
    std::copy_n(color, map.pixels().size(), map.data());
    color += std::ptrdiff_t(map.pixels().size());
    cells.push_back(enlarged(images[i], kShown));
    cells.push_back(enlarged(map, kShown));
    captions.push_back(names[i]);
    captions.emplace_back("features");
  }
  data::write_png(o.out, data::contact_sheet(cells, captions, {.columns = 4, .cell = kShown}));
  std::printf("%s: %zu images, %lld patches\n", o.out.c_str(), images.size(), static_cast<long long>(all.size(0)));
}

}  // namespace

void add_pca(Program& program) {
  const auto o = std::make_shared<ImageArguments>();
  o->out = "pca.png";
  const Command command = program.command(
      "pca", "Draws patch features as colours: their first three principal components over all images.");
  o->add_to(command);
  command.example("vitrail pca runs/dino_cifar10-2025-01-31-1 photos/ -o pca.png");
  command.action([o] { pca(*o); });
}

}  // namespace vitrail::tools
