// vitrail linear: a linear classifier on a model's frozen features.
#include "tools/commands/commands.h"
#include "tools/commands/feature_sets.h"
#include "tools/commands/table.h"
#include "vitrail/recipes/config/json_text.h"
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
  const TrainedModel trained = o.arguments.load();
  FeatureSets parts(*trained.settings);
  TerminalProgress progress;
  const FeatureOf feature_of = probe_features(*trained.model, o.blocks, o.patch_mean);
  const auto train =
      o.augment > 0 ? parts.augmented(feature_of, o.augment, progress) : std::vector{parts.train(feature_of, progress)};
  const FeatureSet val = parts.val(feature_of, progress);
  LinearProbeOptions probe = o.probe;
  probe.seed = uint64_t(trained.settings->seed);
  const auto results = linear_probe(train, val, parts.classes(), probe, progress.tick("epochs"));
  parts.report_bad_files(progress);

  const LinearProbeResult best = best_of(results);
  const std::string checkpoint = trained.checkpoint.string();
  if (o.json) {
    nlohmann::ordered_json result = {{"checkpoint", checkpoint},
                                     {"data", parts.config().root},
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
  fmt::print("{}{} on {} of {}, {} features: top-1 {:.2f}%, top-5 {:.2f}%\n", to_table(rows), checkpoint,
             parts.config().val_split, parts.config().root, val.features.size(1), 100 * best.top1, 100 * best.top5);
}

}  // namespace

void add_linear(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "linear", "Trains a linear classifier on frozen features, with several learning rates at once.");
  o->arguments.add_to(*command, "other labelled data");
  command->add_option("--lr", o->probe.lr, "learning rates, each for 256 images a step")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--epochs", o->probe.epochs, "passes over the features")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--batch", o->probe.batch_size, "images a step")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  command
      ->add_option("--blocks", o->blocks,
                   "ViT: class tokens of the last so many blocks, side by side (ViT-S: 4, ViT-B: 1)")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_flag("--patch-mean", o->patch_mean, "ViT: the mean of the patches behind them (ViT-B)");
  command
      ->add_option("--augment", o->augment,
                   "features of so many random crops and flips of each training image; 0: of the image itself")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command->add_flag("--json", o->json, "print one JSON object, accuracies as fractions");
  command->footer("Example: vitrail linear runs/dino_cifar10-2025-01-31-1 --augment 10");
  command->callback([o] { linear(*o); });
}

}  // namespace vitrail::tools
