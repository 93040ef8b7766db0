// vitrail neighbours: draws images beside their nearest neighbours in feature space.
#include "tools/commands/commands.h"
#include "tools/commands/image_arguments.h"
#include "tools/commands/model_arguments.h"
#include "tools/commands/terminal_progress.h"
#include "vitrail/core/ops.h"
#include "vitrail/data/draw/contact_sheet.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/sources/open_dataset.h"
#include "vitrail/data/sources/subset.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/eval/features.h"
#include "vitrail/recipes/eval/image_retrieval.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

constexpr int64_t kCell = 96;

struct Options {
  ModelArguments arguments;
  std::string query, out = "neighbours.png";
  int64_t count = 8, neighbours = 7, most = 20000;
  SkipOption skip;  // of the query; data.on_error is for the data
};

/// Images of one split, evenly spread over it, at most `most`.
struct Part {
  Part(const DataConfig& config, const std::string& split, int64_t most, bool labelled)
      : images(data::spread(data::open_dataset(config.root, split, {.labelled = labelled}), most)) {}

  FeatureSet features(const OpenModel& model, TerminalProgress& progress) const {
    data::BadFiles bad_files = bad_files_policy(model.eval.data);
    const auto loader = eval_loader(model, *images, bad_files);
    FeatureSet set = normalized(extract_features(pooled_features(*model.backbone), *loader, progress.tick("features")));
    progress.report(bad_files);
    return set;
  }
  std::string caption(int64_t i) const {
    const int64_t label = images->label(i);
    return label == data::kNoLabel ? "" : images->classes().at(size_t(label));
  }

  std::unique_ptr<data::Dataset> images;
};

Part open_part(const DataConfig& config, const std::string& split, int64_t most) {
  try {
    return {config, split, most, true};
  } catch (const DataError&) {  // without labels
    return {config, split, most, false};
  }
}

Tensor features_of(const data::Image& image, const OpenModel& model) {
  const Tensor input = model.preprocessing.batch(std::span(&image, 1));
  return core::l2_normalize(model.backbone->features(input).value()).y;
}

void neighbours(const Options& o) {
  const OpenModel model = o.arguments.open();
  const DataConfig& config = model.eval.data;
  TerminalProgress progress;
  const Part known = open_part(config, config.train_split, o.most);
  const FeatureSet set = known.features(model, progress);

  std::vector<Image> queries;
  if (!o.query.empty()) {
    data::BadFiles bad_files = o.skip.bad_files();
    queries = read_images(o.query, o.count, bad_files);
    progress.report(bad_files);
  } else {
    const Part asked = open_part(config, config.val_split, o.count);
    for (int64_t i = 0; i < asked.images->size(); ++i)
      queries.push_back({asked.caption(i), asked.images->get(i).image});
  }
  std::vector<data::Image> cells;
  std::vector<std::string> captions;
  const int64_t k = std::min(o.neighbours, set.features.size(0));
  for (const Image& query : queries) {
    cells.push_back(query.image);
    captions.push_back(query.name);
    for (const int64_t row : nearest(features_of(query.image, model), set.features, k).span<int64_t>()) {
      const int64_t index = set.indices[size_t(row)];
      cells.push_back(known.images->get(index).image);
      captions.push_back(known.caption(index));
    }
  }
  data::write_png(o.out, data::contact_sheet(cells, captions, {.columns = 1 + k, .cell = kCell}));
  std::printf("%s: %zu images, each with its nearest of %lld\n", o.out.c_str(), queries.size(),
              static_cast<long long>(set.features.size(0)));
}

}  // namespace

void add_neighbours(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command =
      program.command("neighbours", "Draws validation images, or other ones, beside the nearest training images.");
  o->arguments.add_to(command, "other data, labelled or not");
  command.option("-q,--query", o->query, "image or folder, instead of the validation images");
  command.option("-n,--count", o->count, "number of query images").range(1, 256);
  command.option("-k", o->neighbours, "neighbours per query").range(1, 64);
  command.option("--most", o->most, "training images to search, at most").range(1, 1 << 30);
  o->skip.add_to(command);
  command.option("-o,--out", o->out, "PNG file to write");
  command.example("vitrail neighbours runs/dino_cifar10-2025-01-31-1 -q photos/ -o neighbours.png");
  command.action([o] { neighbours(*o); });
}

}  // namespace vitrail::tools
