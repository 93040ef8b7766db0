// vitrail preview: draws the augmented training images of a recipe.
#include "tools/commands/commands.h"
#include "vitrail/data/draw/contact_sheet.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/models/open_run.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

struct Options {
  std::string recipe, out = "preview.png";
  std::vector<std::string> changes;
  int64_t count = 32;
};

void preview(const Options& o) {
  const auto settings = recipes::read_settings(o.recipe, o.changes);
  const recipes::DataConfig& config = settings->sections().data;
  const recipes::Preview shown = settings->preview(o.count);
  constexpr int64_t kSmallest = 128, kLargest = 256;
  data::ContactSheet layout;
  layout.cell = std::clamp(config.img_size, kSmallest, kLargest);
  data::write_png(o.out, data::contact_sheet(shown.images, shown.captions, layout));
  std::printf("%s: %zu training images of %s\n", o.out.c_str(), shown.images.size(), recipes::place_of(config).c_str());
}

}  // namespace

void add_preview(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command =
      program.command("preview", "Draws the training images of a recipe's first steps, augmented, with their classes.");
  command.option("recipe", o->recipe, "recipe file").required();
  command.option("changes", o->changes, "key=value, overrides the recipe");
  command.option("-o,--out", o->out, "PNG file to write");
  command.option("-n,--count", o->count, "number of images").range(1, 4096);
  command.example("vitrail preview recipes/vit_digits.yaml data.crop=pad -n 64 -o digits.png");
  command.action([o] { preview(*o); });
}

}  // namespace vitrail::tools
