// vitrail linear: evaluates frozen features with a linear classifier.
#include "tools/commands/commands.h"
#include "tools/commands/feature_sets.h"
#include "tools/commands/model_arguments.h"
#include "tools/commands/table.h"
#include "tools/json_text.h"
#include "vitrail/recipes/eval/linear_probe.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

struct Options {
  ModelArguments arguments;
  LinearProbeOptions probe;
  int64_t blocks = 4, augment = 0;
  bool patch_mean = false, json = false;
};

void linear(const Options& o) {
  const OpenModel model = o.arguments.open();
  FeatureSets parts(model);
  TerminalProgress progress;
  const FeatureOf feature_of = probe_features(*model.backbone, o.blocks, o.patch_mean);
  const auto train =
      o.augment > 0 ? parts.augmented(feature_of, o.augment, progress) : std::vector{parts.train(feature_of, progress)};
  const FeatureSet val = parts.val(feature_of, progress);
  LinearProbeOptions probe = o.probe;
  probe.seed = uint64_t(model.eval.seed);
  const auto results = linear_probe(train, val, parts.classes(), probe, progress.tick("epochs"));
  progress.report(parts.bad_files());
  const int64_t images = val.labels.size(0), left_out = parts.val_size() - images;

  const LinearProbeResult best = best_of(results);
  const std::string checkpoint = model.source.string();
  if (o.json) {
    nlohmann::ordered_json result = {{"checkpoint", checkpoint},
                                     {"data", parts.config().root},
                                     {"pictures", images},
                                     {"left_out", left_out},
                                     {"feature_dim", val.features.size(1)},
                                     {"epochs", o.probe.epochs},
                                     {"lr", best.lr},
                                     {"top1", best.top1},
                                     {"top5", best.top5}};
    auto& list = result["sweep"] = nlohmann::ordered_json::array();
    for (const auto& r : results) list.push_back({{"lr", r.lr}, {"top1", r.top1}, {"top5", r.top5}});
    fmt::print("{}\n", json_text(result));
    return;
  }
  std::vector<Row> rows{{"lr", "top-1", "top-5"}};
  for (const auto& r : results)
    rows.push_back(
        {fmt::format("{:g}", r.lr), fmt::format("{:.2f}%", 100 * r.top1), fmt::format("{:.2f}%", 100 * r.top5)});
  fmt::print("{}{} on {}: {}, {} features: top-1 {:.2f}%, top-5 {:.2f}%\n", to_table(rows), checkpoint,
             evaluated_name(parts.config()), images_text(images, left_out), val.features.size(1), 100 * best.top1,
             100 * best.top5);
}

}  // namespace

void add_linear(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command =
      program.command("linear", "Trains a linear classifier on frozen features, at several learning rates together.");
  o->arguments.add_to(command, "other labelled data");
  command.option("--lr", o->probe.lr, "learning rates, for 256 images per step").positive();
  command.option("--epochs", o->probe.epochs, "passes over the features").range(1, 1 << 20);
  command.option("--batch", o->probe.batch_size, "images per step").range(1, 1 << 24);
  command
      .option("--blocks", o->blocks,
              "ViT: concatenate the class tokens of the last blocks (DINO: 4 for ViT-S, 1 for ViT-B)")
      .range(1, 1024);
  command.flag("--patch-mean", o->patch_mean, "ViT: append the mean of the patch tokens (DINO: for ViT-B)");
  command.option("--augment", o->augment, "random crops and flips of each training image; 0: the image itself")
      .range(0, 1024);
  command.flag("--json", o->json, "print one JSON object, with accuracies as fractions");
  command.example("vitrail linear runs/dino_cifar10-2025-01-31-1 --augment 10");
  command.action([o] { linear(*o); });
}

}  // namespace vitrail::tools
