// vitrail attention: draws the attention maps of a vision transformer.
#include "tools/commands/commands.h"
#include "tools/commands/image_arguments.h"
#include "vitrail/data/draw/contact_sheet.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/recipes/eval/attention_maps.h"

#include <fmt/format.h>

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
  const OpenModel opened = o.open();
  nn::VisionTransformer& model = nn::as_vit(*opened.backbone, "attention", opened.source.string());
  const int64_t size = o.side(opened.preprocessing);
  const std::vector<Image> images = o.read();
  std::vector<data::Image> cells;
  std::vector<std::string> captions;
  for (const Image& source : images) {
    const data::Image image =
        fit_to_patches(opened.preprocessing.background.under(source.image), size, model.config.patch_size);
    const auto maps = last_attention(model, to_input(image, opened.preprocessing));
    const data::Image shown = enlarged(image, kShown);
    // Two rows: the maps of the heads beside the image; below, the patches that hold most of each head's attention.
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
  fmt::print("{}: {} images, {} heads{}\n", o.out, images.size(), model.config.num_heads,
             model.config.class_token ? "" : "; the model has no class token: the mean attention of all tokens");
}

}  // namespace

void add_attention(Program& program) {
  const auto o = std::make_shared<Options>();
  o->out = "attention.png";
  const Command command = program.command(
      "attention", "Draws the attention of the class token, or of all tokens, in the last block, head by head.");
  o->add_to(command);
  command.option("--mass", o->mass, "share of the attention that a mask keeps").fraction();
  command.example("vitrail attention runs/dino_cifar10-2025-01-31-1 photos/ -o attention.png");
  command.example("vitrail attention dino-vits16/ photos/");
  command.action([o] { attention(*o); });
}

}  // namespace vitrail::tools
