// vitrail preview: what a recipe's augmentations make of its images.
#include "tools/commands/commands.h"
#include "vitrail/data/draw/contact_sheet.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/models/trained_model.h"

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
  std::printf("%s: %zu training images of %s\n", o.out.c_str(), shown.images.size(), config.root.c_str());
}

}  // namespace

void add_preview(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "preview", "Draws training images as the first steps of a recipe see them, with their classes.");
  command->add_option("recipe", o->recipe, "recipe file")->required();
  command->add_option("changes", o->changes, "key=value, in place of what the recipe says");
  command->add_option("-o,--out", o->out, "PNG file to write")->capture_default_str();
  command->add_option("-n,--count", o->count, "images")->check(CLI::Range(1, 4096))->capture_default_str();
  command->footer("Example: vitrail preview recipes/vit_digits.yaml data.crop=pad -n 64 -o digits.png");
  command->callback([o] { preview(*o); });
}

}  // namespace vitrail::tools
