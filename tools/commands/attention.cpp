// vitrail attention: draws the attention maps of a vision transformer, or how far each head looks.
#include "tools/commands/commands.h"
#include "tools/commands/image_arguments.h"
#include "tools/commands/table.h"
#include "tools/json_text.h"
#include "vitrail/core/error.h"
#include "vitrail/data/draw/contact_sheet.h"
#include "vitrail/data/draw/plot.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/recipes/eval/attention_distance.h"
#include "vitrail/recipes/eval/attention_maps.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

constexpr double kOpacity = 0.7;

struct Options : ImageArguments {
  double mass = 0.6;
  bool distance = false, json = false;
};

void draw_maps(const Options& o) {
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

/// A dot for each head over the blocks, the mean of the heads, and what attention without a preference would have.
data::Image distance_chart(const AttentionDistance& distance) {
  data::Series heads{.name = "heads", .x = {}, .y = {}, .dots = true}, mean{.name = "mean", .x = {}, .y = {}};
  for (int64_t block = 0; block < distance.depth(); ++block) {
    for (int64_t head = 0; head < distance.heads(); ++head) {
      heads.x.push_back(double(block));
      heads.y.push_back(distance.of(block, head));
    }
    mean.x.push_back(double(block));
    mean.y.push_back(distance.of(block));
  }
  const std::vector<double> ends{-0.5, double(distance.depth()) - 0.5};
  const data::Series uniform{.name = "uniform attention", .x = ends, .y = {distance.uniform(), distance.uniform()}};
  return data::plot({.title = "mean attention distance", .x_label = "block", .y_label = "pixels", .from_zero = true},
                    std::vector{heads, mean, uniform});
}

void print_distances(const Options& o, const OpenModel& opened, const AttentionDistance& distance, size_t images) {
  if (o.json) {
    auto blocks = nlohmann::ordered_json::array();
    for (int64_t block = 0; block < distance.depth(); ++block) {
      std::vector<double> heads;
      for (int64_t head = 0; head < distance.heads(); ++head) heads.push_back(distance.of(block, head));
      blocks.push_back({{"block", block}, {"mean", distance.of(block)}, {"heads", heads}});
    }
    fmt::print("{}\n", json_text(nlohmann::ordered_json{{"checkpoint", opened.source.string()},
                                                        {"images", images},
                                                        {"unit", "pixels"},
                                                        {"uniform", distance.uniform()},
                                                        {"blocks", blocks}}));
    return;
  }
  const auto pixels = [](double value) { return fmt::format("{:.1f}", value); };
  std::vector<Row> rows{{"block", "mean"}};
  for (int64_t head = 0; head < distance.heads(); ++head) rows[0].push_back(fmt::format("head {}", head));
  for (int64_t block = 0; block < distance.depth(); ++block) {
    rows.push_back({std::to_string(block), pixels(distance.of(block))});
    for (int64_t head = 0; head < distance.heads(); ++head) rows.back().push_back(pixels(distance.of(block, head)));
  }
  fmt::print("{}{}: mean attention distance in pixels, {} images; uniform attention has {}\n", to_table(rows), o.out,
             images, pixels(distance.uniform()));
}

void measure_distances(const Options& o) {
  const OpenModel opened = o.open();
  nn::VisionTransformer& model = nn::as_vit(*opened.backbone, "attention", opened.source.string());
  const int64_t size = o.side(opened.preprocessing);
  const std::vector<Image> images = o.read();
  AttentionDistance distance(model);
  for (const Image& source : images) {
    const data::Image shown = opened.preprocessing.background.under(source.image);
    distance.add(to_input(fit_to_patches(shown, size, model.config.patch_size), opened.preprocessing));
  }
  data::write_png(o.out, distance_chart(distance));
  print_distances(o, opened, distance, images.size());
}

void attention(Options& o) {
  check<ConfigError>(o.distance || !o.json, "attention", "--json prints distances: give --distance too");
  if (!o.distance) return draw_maps(o);
  o.enlarge = 1;  // distances are in pixels of the images that the model was trained on
  measure_distances(o);
}

}  // namespace

void add_attention(Program& program) {
  const auto o = std::make_shared<Options>();
  o->out = "attention.png";
  const Command command = program.command(
      "attention", "Draws the attention of the class token, or of all tokens, in the last block, head by head.");
  o->add_to(command);
  command.option("--mass", o->mass, "share of the attention that a mask keeps").fraction();
  command.flag(
      "--distance", o->distance,
      "instead measures how far each head looks: its mean attention distance in pixels, as a table and a chart; "
      "at the recipe's image size unless --size is given");
  command.flag("--json", o->json, "with --distance: print one JSON object");
  command.example("vitrail attention runs/dino_cifar10-2025-01-31-1 photos/ -o attention.png");
  command.example("vitrail attention dino-vits16/ photos/");
  command.example("vitrail attention dino-vits16/ photos/ -n 128 --distance -o distance.png");
  command.action([o] { attention(*o); });
}

}  // namespace vitrail::tools
