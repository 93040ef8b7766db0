// vitrail attention: what a transformer looks at.
#include "tools/commands/arguments.h"
#include "tools/commands/commands.h"
#include "tools/commands/images.h"
#include "vitrail/data/draw/contact_sheet.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/recipes/eval/attention_maps.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

constexpr double kOpacity = 0.7;

struct Options : ImageArguments {
  double mass = 0.6;
};

void attention(const Options& o) {
  const TrainedModel trained = load_trained_model(o.checkpoint);
  nn::VisionTransformer& model = transformer_of(trained, "attention");
  const DataConfig& config = trained.settings->sections().data;
  const int64_t size = o.side(config);
  const std::vector<Image> images = read_images(o.images, o.count);
  std::vector<data::Image> cells;
  std::vector<std::string> captions;
  for (const Image& source : images) {
    const data::Image image = fit_to_patches(source.image, size, model.config.patch_size);
    const auto maps = class_attention(model, to_input(image, config));
    const data::Image shown = enlarged(image, kShown);
    // Two rows: the maps of the heads beside the image, below them the part that holds most of their attention.
    for (const bool masked : {false, true}) {
      cells.push_back(shown);
      captions.push_back(masked ? fmt::format("{:.0f}% of the attention:", 100 * o.mass) : source.name);
      for (size_t head = 0; head < maps.size(); ++head) {
        cells.push_back(masked ? overlay_mask(shown, keep_mass(maps[head], o.mass))
                               : overlay_heat(shown, stretched(maps[head]), kOpacity));
        captions.push_back(fmt::format("head {}", head));
      }
    }
  }
  const data::ContactSheet layout{.columns = 1 + model.config.num_heads, .cell = kShown};
  data::write_png(o.out, data::contact_sheet(cells, captions, layout));
  std::printf("%s: %zu images, %lld heads\n", o.out.c_str(), images.size(),
              static_cast<long long>(model.config.num_heads));
}

}  // namespace

void add_attention(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  o->out = "attention.png";
  CLI::App* command = app.add_subcommand(
      "attention", "Draws the attention of a transformer's class token in the last block, head by head.");
  o->add_to(*command);
  command->add_option("--mass", o->mass, "share of the attention that the masks keep")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->footer(
      "Example: vitrail attention runs/dino_cifar10-2025-01-31-1 photos/ -o attention.png\n"
      "         vitrail attention dino-vits16/ photos/");
  command->callback([o] { attention(*o); });
}

}  // namespace vitrail::tools
