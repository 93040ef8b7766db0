// vitrail artifacts: finds patches whose tokens have far larger norms than the others, and draws them.
#include "tools/commands/commands.h"
#include "tools/commands/image_arguments.h"
#include "tools/json_text.h"
#include "vitrail/core/error.h"
#include "vitrail/data/draw/contact_sheet.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/recipes/eval/patch_norms.h"

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

struct Options : ImageArguments {
  double ratio = 3;
  std::optional<double> cutoff;
  bool json = false;
};

/// The map with f applied to each value.
template <class F>
PatchMap mapped(const PatchMap& map, F&& f) {
  PatchMap result = map;
  for (double& v : result.values) v = f(v);
  return result;
}

int64_t outliers_in(const TokenNorms& norms, double cutoff) {
  return std::count_if(norms.patches.values.begin(), norms.patches.values.end(),
                       [cutoff](double norm) { return norm > cutoff; });
}

/// For each image: the image with its outliers in red, and the norms on one scale for all images.
data::Image drawing(const std::vector<data::Image>& images, const std::vector<std::string>& names,
                    const std::vector<TokenNorms>& norms, const NormStatistics& all) {
  std::vector<data::Image> cells;
  std::vector<std::string> captions;
  const double brightest = std::max(all.cutoff, all.largest);
  for (size_t i = 0; i < images.size(); ++i) {
    const data::Image shown = enlarged(images[i], kShown);
    const PatchMap& map = norms[i].patches;
    const auto [low, high] = std::minmax_element(map.values.begin(), map.values.end());
    cells.push_back(overlay_marks(shown, mapped(map, [&](double v) { return v > all.cutoff ? 1.0 : 0.0; })));
    captions.push_back(names[i]);
    cells.push_back(overlay_heat(shown, mapped(map, [&](double v) { return v / brightest; }), /*opacity=*/1));
    captions.push_back(fmt::format("{:.1f} to {:.1f}, {} of {} are outliers", *low, *high,
                                   outliers_in(norms[i], all.cutoff), map.values.size()));
  }
  return data::contact_sheet(cells, captions, {.columns = 4, .cell = kShown});
}

/// The mean norm of each prefix token over the images.
std::vector<double> prefix_means(const std::vector<TokenNorms>& norms) {
  std::vector<double> means(norms.front().prefix.size());
  for (const TokenNorms& image : norms)
    for (size_t i = 0; i < means.size(); ++i) means[i] += image.prefix[i] / double(norms.size());
  return means;
}

void artifacts(const Options& o) {
  const OpenModel opened = o.open();
  expect_tokens(opened, "artifacts");
  nn::TokenBackbone& model = *opened.backbone->token_backbone();
  const int64_t size = o.side(opened.preprocessing);
  std::vector<data::Image> images;
  std::vector<std::string> names;
  std::vector<TokenNorms> norms;
  for (const Image& source : o.read()) {
    images.push_back(fit_to_patches(opened.preprocessing.background.under(source.image), size, model.patch_size()));
    names.push_back(source.name);
    norms.push_back(token_norms(model, to_input(images.back(), opened.preprocessing)));
  }
  const NormStatistics all = norm_statistics(norms, o.ratio, o.cutoff);
  const std::vector<double> prefix = prefix_means(norms);
  data::write_png(o.out, drawing(images, names, norms, all));
  if (o.json) {
    auto list = nlohmann::ordered_json::array();
    for (size_t i = 0; i < images.size(); ++i)
      list.push_back({{"image", names[i]},
                      {"rows", norms[i].patches.rows},
                      {"columns", norms[i].patches.columns},
                      {"outliers", outliers_in(norms[i], all.cutoff)},
                      {"norms", norms[i].patches.values}});
    fmt::print("{}\n", json_text(nlohmann::ordered_json{{"checkpoint", opened.source.string()},
                                                        {"patches", all.patches},
                                                        {"median", all.median},
                                                        {"largest", all.largest},
                                                        {"cutoff", all.cutoff},
                                                        {"outliers", all.outliers},
                                                        {"share", all.share()},
                                                        {"prefix_norms", prefix},
                                                        {"images", list}}));
    return;
  }
  fmt::print("{}: {} images, {} patches; norms after the last block: median {:.2f}, largest {:.2f}\n", o.out,
             images.size(), all.patches, all.median, all.largest);
  if (!prefix.empty()) fmt::print("mean norms of the class token and the registers: {:.2f}\n", fmt::join(prefix, ", "));
  fmt::print("{} patches ({:.2f}%) are outliers, with a norm above {:.2f}\n", all.outliers, 100 * all.share(),
             all.cutoff);
}

}  // namespace

void add_artifacts(Program& program) {
  const auto o = std::make_shared<Options>();
  o->out = "artifacts.png";
  o->enlarge = 1;
  const Command command = program.command(
      "artifacts", "Finds patches whose tokens have far larger norms than the others after the last block.");
  o->add_to(command);
  const Option cutoff = command.option("--cutoff", o->cutoff, "norm above which a patch is an outlier").positive();
  command.option("--ratio", o->ratio, "without --cutoff: the cutoff is so many times the median norm")
      .positive()
      .excludes(cutoff);
  command.flag("--json", o->json, "print one JSON object, with the norm of every patch");
  command.example("vitrail artifacts dinov2-base/ photos/ -o artifacts.png");
  command.example("vitrail artifacts dinov2-giant/ photos/ --cutoff 150");
  command.action([o] { artifacts(*o); });
}

}  // namespace vitrail::tools
