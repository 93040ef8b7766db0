// vitrail knn: evaluates features without training: nearest neighbours and retrieval.
#include "vitrail/recipes/eval/knn.h"

#include "tools/commands/commands.h"
#include "tools/commands/feature_sets.h"
#include "tools/commands/model_arguments.h"
#include "tools/commands/table.h"
#include "tools/json_text.h"
#include "vitrail/core/ops.h"
#include "vitrail/recipes/eval/evaluate.h"
#include "vitrail/recipes/eval/image_retrieval.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

struct Options {
  ModelArguments arguments;
  std::vector<int64_t> k{10, 20, 100, 200};
  double temperature = 0.07;
  bool baselines = false, json = false;
};

struct Score {
  std::string features;  // "model", "untrained" or "pixels"
  int64_t k;
  double top1, top5;
};

std::vector<Score> score(const std::string& name, const FeatureSet& train, const FeatureSet& val, int64_t classes,
                         const Options& o) {
  std::vector<Score> scores;
  for (const int64_t k : o.k) {
    const Tensor votes = knn_votes(train.features, train.labels, val.features, classes, {k, o.temperature});
    const auto places = label_places(votes, val.labels, 5);
    scores.push_back({name, k, share_below(places, 1), share_below(places, std::min<int64_t>(5, k))});
  }
  return scores;
}

void knn(const Options& o) {
  const OpenModel model = o.arguments.open();
  FeatureSets parts(model);
  TerminalProgress progress;
  std::vector<Score> scores;
  const auto add = [&](const std::string& name, const FeatureOf& feature_of) {
    const FeatureSet train = normalized(parts.train(feature_of, progress));
    FeatureSet val = normalized(parts.val(feature_of, progress));
    for (const Score& s : score(name, train, val, parts.classes(), o)) scores.push_back(s);
    return val;
  };
  const FeatureSet scored = add("model", pooled_features(*model.backbone));
  const double map = retrieval_map(scored);
  const int64_t images = scored.labels.size(0), left_out = parts.val_size() - images;
  if (o.baselines) {
    const auto network = model.untrained();
    add("untrained", pooled_features(*network));
    if (pixels_fit(parts.train_size(), parts.config().img_size)) add("pixels", pixel_features());
  }
  progress.report(parts.bad_files());

  const std::string checkpoint = model.source.string();
  if (o.json) {
    nlohmann::ordered_json result = {{"checkpoint", checkpoint},     {"data", parts.config().root},
                                     {"pictures", images},           {"left_out", left_out},
                                     {"temperature", o.temperature}, {"retrieval_map", map}};
    auto& list = result["knn"] = nlohmann::ordered_json::array();
    for (const Score& s : scores)
      list.push_back({{"features", s.features}, {"k", s.k}, {"top1", s.top1}, {"top5", s.top5}});
    fmt::print("{}\n", json_text(result));
    return;
  }
  std::vector<Row> rows{{"features", "k", "top-1", "top-5"}};
  for (const Score& s : scores)
    rows.push_back(
        {s.features, std::to_string(s.k), fmt::format("{:.2f}%", 100 * s.top1), fmt::format("{:.2f}%", 100 * s.top5)});
  fmt::print("{}{} on {}: {}: mean average precision of retrieval {:.4f}\n", to_table(rows), checkpoint,
             evaluated_name(parts.config()), images_text(images, left_out), map);
}

}  // namespace

void add_knn(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command =
      program.command("knn", "Evaluates features without training: weighted k-NN classification and retrieval.");
  o->arguments.add_to(command, "other labelled data");
  command.option("-k", o->k, "numbers of neighbours that vote").range(1, 1 << 20);
  command.option("--temperature", o->temperature, "of the votes exp(cosine / temperature)").positive();
  command.flag("--baselines", o->baselines, "also evaluate the untrained network and the raw pixels");
  command.flag("--json", o->json, "print one JSON object, with accuracies as fractions");
  command.example("vitrail knn runs/dino_cifar10-2025-01-31-1 -k 20 --baselines");
  command.action([o] { knn(*o); });
}

}  // namespace vitrail::tools
