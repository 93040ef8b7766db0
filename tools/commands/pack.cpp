// vitrail pack: writes a dataset as one HDF5 file.
#include "vitrail/data/sources/pack.h"

#include "tools/commands/commands.h"
#include "tools/commands/table.h"
#include "vitrail/core/error.h"
#include "vitrail/data/sources/open_dataset.h"
#include "vitrail/data/sources/open_pairs.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace vitrail::tools {
namespace {

struct Options {
  std::string source, out;
  std::vector<std::string> splits;
  bool unlabelled = false;
  bool captions = false;
  std::vector<std::string> kinds;
};

/// The splits to pack, in the order train, val, test.
std::vector<std::string> chosen_splits(const Options& o) {
  std::vector<std::string> splits = o.splits;
  if (splits.empty()) splits = o.captions ? data::pair_splits(o.source) : data::dataset_splits(o.source);
  check<ConfigError>(!splits.empty(), "pack", "{} may hold several splits; choose with --split train val", o.source);
  std::vector<std::string> chosen;
  for (const std::string split : {"train", "val", "test"})
    if (std::find(splits.begin(), splits.end(), split) != splits.end()) chosen.push_back(split);
  return chosen;
}

using Opened = std::vector<std::pair<std::string, std::unique_ptr<data::Dataset>>>;
using OpenedPairs = std::vector<std::pair<std::string, data::Pairs>>;

/// The number of images by class and split.
std::string count_table(const Opened& parts) {
  Row head{"class"}, total{"all"};
  std::vector<Row> rows;
  for (const auto& [split, dataset] : parts) {
    const auto& classes = dataset->classes();
    std::vector<int64_t> counts(classes.size());
    for (int64_t i = 0; !classes.empty() && i < dataset->size(); ++i) ++counts.at(size_t(dataset->label(i)));
    head.push_back(split);
    total.push_back(std::to_string(dataset->size()));
    if (rows.empty())
      for (const std::string& name : classes) rows.push_back({name});
    for (size_t c = 0; c < rows.size(); ++c) rows[c].push_back(std::to_string(c < counts.size() ? counts[c] : 0));
  }
  rows.insert(rows.begin(), head);
  rows.push_back(total);
  return to_table(rows);
}

/// The number of images and captions by split.
std::string count_table(const OpenedPairs& parts) {
  Row head{""}, images{"images"}, captions{"captions"}, left_out{"images left out, without a caption"};
  int64_t all_left_out = 0;
  for (const auto& [split, pairs] : parts) {
    int64_t count = 0;
    for (const auto& texts : pairs.captions) count += int64_t(texts.size());
    head.push_back(split);
    images.push_back(std::to_string(pairs.images->size()));
    captions.push_back(std::to_string(count));
    left_out.push_back(std::to_string(pairs.left_out));
    all_left_out += pairs.left_out;
  }
  std::vector<Row> rows{head, images, captions};
  if (all_left_out > 0) rows.push_back(left_out);
  return to_table(rows);
}

void finish(const Options& o, const std::string& table, const std::vector<data::PackPart>& parts) {
  const int64_t images = data::pack(o.out, parts);
  std::printf("%s%s: %lld images\n", table.c_str(), o.out.c_str(), static_cast<long long>(images));
}

void pack_labelled(const Options& o) {
  Opened opened;
  std::vector<data::PackPart> parts;
  for (const std::string& split : chosen_splits(o)) {
    opened.emplace_back(split, data::open_dataset(o.source, split, {.labelled = !o.unlabelled}));
    parts.push_back({split, opened.back().second.get()});
  }
  finish(o, count_table(opened), parts);
}

void pack_captioned(const Options& o) {
  OpenedPairs opened;
  for (const std::string& split : chosen_splits(o))
    opened.emplace_back(split, data::open_pairs(o.source, split, {.kinds = o.kinds}));
  std::vector<data::PackPart> parts;
  parts.reserve(opened.size());
  for (const auto& [split, pairs] : opened) parts.push_back({split, pairs.images.get(), &pairs});
  finish(o, count_table(opened), parts);
}

}  // namespace

void add_pack(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command = program.command("pack", "Writes a dataset as one HDF5 file and counts its images.");
  command
      .option(
          "source", o->source,
          "class folders, tar shards, CIFAR, IDX or HDF5, as data.root of a recipe; with --captions: a table or tar "
          "shards")
      .required();
  command.option("-o,--out", o->out, "HDF5 file to write").required();
  command.option("--split", o->splits, "splits to pack; all if not given").choices({"train", "val", "test"});
  command.flag("--unlabelled", o->unlabelled, "ignore class folders");
  const Option captions = command.flag("--captions", o->captions, "pack images with captions, without classes");
  command.option("--kinds", o->kinds, "kinds of captions to pack; all if not given").needs(captions);
  command.example("vitrail pack photos/ -o photos.h5 --split train val");
  command.example("vitrail pack emoji/ -o emoji.h5 --captions --kinds name short");
  command.action([o] { o->captions ? pack_captioned(*o) : pack_labelled(*o); });
}

}  // namespace vitrail::tools
