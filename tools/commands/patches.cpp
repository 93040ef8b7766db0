// vitrail patches: evaluates patch tokens without training: do they tell things from the background behind them?
#include "tools/commands/background_option.h"
#include "tools/commands/commands.h"
#include "tools/commands/model_arguments.h"
#include "tools/commands/model_notes.h"
#include "tools/commands/table.h"
#include "tools/commands/terminal_progress.h"
#include "tools/json_text.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/recipes/eval/patch_measure.h"
#include "vitrail/recipes/run/recipe_files.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

struct Options {
  std::string model, images, network;
  PublishedArguments published;
  std::string background = "random";
  int64_t k = 20;
  double temperature = 0.07;
  bool baselines = false, json = false;
};

struct Line {
  std::string features;  // "model", "untrained", "pixels" or "majority"
  PatchScore score;
};

void patches(const Options& o) {
  std::optional<data::Background> background;
  if (o.background != "random") background = data::Background::parse(o.background);
  const OpenModel model = open_with_notes(o.model, {}, o.published.options(o.network));
  expect_tokens(model, "patches");
  nn::TokenBackbone& backbone = *model.backbone->token_backbone();
  const std::string root = o.images.empty() ? bundled_asset("emoji_cutouts").string() : o.images;
  const CutOuts images(root, model.preprocessing, backbone.patch_size(), background);
  const ag::Autocast precision(model.eval.precision);
  TerminalProgress progress;
  const Tick tick = progress.tick("patches");
  std::vector<Line> lines;
  PatchSet val;
  const auto add = [&](const char* name, const PatchFeatureOf& feature_of) {
    const PatchSet train = images.train(feature_of, tick);
    val = images.val(feature_of, tick);
    lines.push_back({name, patch_knn(train, val, {o.k, o.temperature})});
    return train.labels.size(0);
  };
  const int64_t known = add("model", patch_tokens(backbone));
  if (o.baselines) {
    const auto untrained = model.untrained();
    add("untrained", patch_tokens(*untrained->token_backbone()));
    add("pixels", patch_pixels(backbone.patch_size()));
  }
  lines.push_back({"majority", patch_majority(val)});

  const std::string source = model.source.string();
  const int64_t scored = val.labels.size(0);
  if (o.json) {
    nlohmann::ordered_json result = {{"checkpoint", source},
                                     {"images", root},
                                     {"background", background ? background->text() : "random"},
                                     {"k", o.k},
                                     {"temperature", o.temperature},
                                     {"patches", scored},
                                     {"things", images.val_things()},
                                     {"left_out", images.val_mixed()}};
    auto& list = result["scores"] = nlohmann::ordered_json::array();
    for (const Line& line : lines)
      list.push_back({{"features", line.features}, {"accuracy", line.score.accuracy}, {"miou", line.score.miou}});
    fmt::print("{}\n", json_text(result));
    return;
  }
  std::vector<Row> rows{{"features", "accuracy", "mean IoU"}};
  for (const Line& line : lines)
    rows.push_back({line.features, fmt::format("{:.2f}%", 100 * line.score.accuracy),
                    fmt::format("{:.2f}%", 100 * line.score.miou)});
  fmt::print(
      "{}{}: {} patches of {} images, {:.0f}% things; {} neighbours among {} patches of {} other images. Accuracy is "
      "the "
      "mean of things and background. {:.0f}% of the patches show both and are left out\n",
      to_table(rows), source, scored, images.val_images(), 100 * images.val_things(), o.k, known, images.train_images(),
      100 * images.val_mixed());
}

}  // namespace

void add_patches(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command =
      program.command("patches", "Evaluates patch tokens without training: does k-NN tell things from the background?");
  command.option("model", o->model, kAnyModel).required();
  command.option("images", o->images,
                 "images with transparent backgrounds; default: the 268 drawings that come with Vitrail");
  add_network_option(command, o->network);
  command.option("--background", o->background,
                 "behind the images: random (a colour with waves for each), white or '#rrggbb'");
  command.option("-k", o->k, "neighbours that vote").range(1, 1 << 20);
  command.option("--temperature", o->temperature, "of the votes exp(cosine / temperature)").positive();
  command.flag("--baselines", o->baselines, "also evaluate the untrained network and the raw pixels");
  command.flag("--json", o->json, "print one JSON object, with scores as fractions");
  o->published.add_to(command);
  command.example("vitrail patches runs/dinov2_cifar10-2025-01-31-1 --baselines");
  command.action([o] { patches(*o); });
}

}  // namespace vitrail::tools
