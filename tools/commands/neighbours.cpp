// vitrail neighbours: draws images beside their nearest neighbours in feature space.
#include "tools/commands/commands.h"
#include "tools/commands/image_arguments.h"
#include "tools/commands/model_arguments.h"
#include "tools/commands/terminal_progress.h"
#include "vitrail/core/error.h"
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
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

constexpr int64_t kCell = 96;

struct Options {
  ModelArguments arguments;
  std::vector<std::string> queries;
  std::string out = "neighbours.png";
  int64_t count = 8, neighbours = 7, most = 20000;
  SkipOption skip;  // of the query; data.on_error is for the data
};

/// Images of a part, evenly spread over it, at most `most`.
struct Part {
  Part(const DataConfig& config, const std::string& split, bool labelled, int64_t most)
      : images(data::spread(open_images(config, split, labelled), most)) {}

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
    return {config, split, true, most};
  } catch (const DataError&) {  // without labels
    return {config, split, false, most};
  }
}

/// An image, and its number among the known images if it is one of them.
struct Query {
  Image image;
  std::optional<int64_t> known = {};
};

/// Images of the validation part. Data without one asks for the neighbours of its own images.
std::vector<Query> queries_of(const DataConfig& config, const Part& known, int64_t count, TerminalProgress& progress) {
  const DataConfig there = evaluated(config);
  const bool whole = there.val_fraction == 0 && data::is_undivided(there.root), own = whole && config.val_root.empty();
  std::optional<Part> other;
  if (!own) other = open_part(there, whole ? "" : there.val_split, count);
  const Part& asked = own ? known : *other;
  data::BadFiles bad_files = bad_files_policy(config);
  std::vector<Query> queries;
  const int64_t size = asked.images->size(), shown = std::min(count, size);
  for (int64_t i = 0; i < shown; ++i) {
    const int64_t image = i * size / shown;
    try {
      queries.push_back({{asked.caption(image), asked.images->get(image).image}, std::nullopt});
      if (own) queries.back().known = image;
    } catch (const IoError& error) {
      bad_files.add(*asked.images, image, error.what());
    }
  }
  progress.report(bad_files);
  check<DataError>(!queries.empty(), "neighbours", "no image to ask about is left: all are broken");
  return queries;
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
  const FeatureSet set = known.features(model, progress);  // without broken images

  std::vector<Query> queries;
  if (o.queries.empty()) {
    queries = queries_of(config, known, o.count, progress);
  } else {
    for (Image& image : read_images(o.queries, o.count, o.skip)) queries.push_back({std::move(image)});
  }
  std::vector<data::Image> cells;
  std::vector<std::string> captions;
  const int64_t itself = !queries.empty() && queries.front().known ? 1 : 0;
  const int64_t k = std::min(o.neighbours, set.features.size(0) - itself);
  for (const auto& [query, own] : queries) {
    cells.push_back(query.image);
    captions.push_back(query.name);
    int64_t shown = 0;
    for (const int64_t row : nearest(features_of(query.image, model), set.features, k + itself).span<int64_t>()) {
      const int64_t index = set.indices[size_t(row)];
      if (index == own || shown == k) continue;
      ++shown;
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
  command.option("-q,--query", o->queries, "images and folders, instead of the validation images");
  command.option("-n,--count", o->count, "number of query images, at most").range(1, 256);
  command.option("-k", o->neighbours, "neighbours per query").range(1, 64);
  command.option("--most", o->most, "training images to search, at most").range(1, 1 << 30);
  o->skip.add_to(command);
  command.option("-o,--out", o->out, "PNG file to write");
  command.example("vitrail neighbours runs/dino_cifar10-2025-01-31-1 -q photos/ -o neighbours.png");
  command.action([o] { neighbours(*o); });
}

}  // namespace vitrail::tools
