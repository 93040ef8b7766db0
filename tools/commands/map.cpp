// vitrail map: draws the features of labelled images as points in two dimensions.
#include "tools/commands/commands.h"
#include "tools/commands/model_arguments.h"
#include "tools/commands/terminal_progress.h"
#include "vitrail/core/ops.h"
#include "vitrail/data/draw/scatter.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/sources/subset.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/eval/features.h"
#include "vitrail/recipes/eval/pca.h"
#include "vitrail/recipes/eval/tsne.h"

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

struct Options {
  ModelArguments arguments;
  std::string method = "tsne", out = "map.png";
  int64_t count = 1500;
  TsneOptions tsne;
};

void map(const Options& o) {
  const OpenModel model = o.arguments.open();
  const DataConfig& config = model.eval.data;
  const auto part = data::spread(open_evaluated(config), o.count);
  data::BadFiles bad_files = bad_files_policy(config);
  TerminalProgress progress;
  const auto loader = eval_loader(model, *part, bad_files);
  const FeatureSet all = extract_features(pooled_features(*model.backbone), *loader, progress.tick("features"));
  progress.report(bad_files);
  const int64_t count = all.features.size(0);
  const Tensor features = core::l2_normalize(all.features).y;
  const Tensor places =
      o.method == "pca" ? fit_pca(features, 2).project(features) : tsne(features, o.tsne, progress.tick("t-SNE"));

  const auto xy = places.span<float>();
  const auto labels = all.labels.span<int64_t>();
  std::vector<data::Dot> dots;
  for (int64_t i = 0; i < count; ++i)
    dots.push_back({double(xy[size_t(2 * i)]), double(xy[size_t(2 * i + 1)]), labels[size_t(i)]});
  const std::string title = (o.method == "pca" ? "PCA of " : "t-SNE of ") + std::to_string(count) + " images";
  data::write_png(o.out, data::scatter(title, dots, part->classes()));
  std::printf("%s: %s\n", o.out.c_str(), title.c_str());
}

}  // namespace

void add_map(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command =
      program.command("map", "Draws the features of validation images in two dimensions, coloured by class.");
  o->arguments.add_to(command, "other labelled data");
  command.option("--method", o->method, "tsne: keeps neighbours together; pca: linear").choices({"tsne", "pca"});
  command.option("-n,--count", o->count, "number of images; tsne takes time in proportion to its square")
      .range(4, 20000);
  command.option("--perplexity", o->tsne.perplexity, "tsne: approximate number of neighbours of a point").positive();
  command.option("-o,--out", o->out, "PNG file to write");
  command.example("vitrail map runs/dino_cifar10-2025-01-31-1 -n 3000 -o map.png");
  command.action([o] { map(*o); });
}

}  // namespace vitrail::tools
