// vitrail pack: any data set in one HDF5 file.
#include "data/pack.h"

#include "core/error.h"
#include "data/open_dataset.h"
#include "tools/commands/commands.h"
#include "tools/commands/table.h"

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
};

using Opened = std::vector<std::pair<std::string, std::unique_ptr<data::Dataset>>>;

Opened open_parts(const Options& o) {
  std::vector<std::string> splits = o.splits;
  if (splits.empty()) splits = data::dataset_splits(o.source);
  check<ConfigError>(!splits.empty(), "pack", "{} may hold several parts: say which, as in --split train val",
                     o.source);
  Opened parts;
  for (const std::string split : {"train", "val", "test"})
    if (std::find(splits.begin(), splits.end(), split) != splits.end())
      parts.emplace_back(split, data::open_dataset(o.source, split, {.labelled = !o.unlabelled}));
  return parts;
}

/// Pictures by class and part.
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

void pack(const Options& o) {
  const Opened opened = open_parts(o);
  std::vector<data::PackPart> parts;
  for (const auto& [split, dataset] : opened) parts.push_back({split, dataset.get()});
  const int64_t pictures = data::pack(o.out, parts);
  std::printf("%s%s: %lld pictures\n", count_table(opened).c_str(), o.out.c_str(), static_cast<long long>(pictures));
}

}  // namespace

void add_pack(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("pack", "Puts a data set into one HDF5 file and counts its pictures.");
  command->add_option("source", o->source, "class folders, tar shards, CIFAR, IDX or HDF5, as data.root of a recipe")
      ->required();
  command->add_option("-o,--out", o->out, "HDF5 file to write")->required();
  command->add_option("--split", o->splits, "parts to pack; without it all that the source has")
      ->check(CLI::IsMember({"train", "val", "test"}));
  command->add_flag("--unlabelled", o->unlabelled, "folders are no classes");
  command->footer("Example: vitrail pack photos/ -o photos.h5 --split train val");
  command->callback([o] { pack(*o); });
}

}  // namespace vitrail::tools
