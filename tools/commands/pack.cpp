// vitrail pack: writes a dataset as one HDF5 file.
#include "vitrail/data/sources/pack.h"

#include "tools/commands/commands.h"
#include "tools/commands/table.h"
#include "tools/commands/terminal_progress.h"
#include "vitrail/core/error.h"
#include "vitrail/data/sources/class_match.h"
#include "vitrail/data/sources/open_dataset.h"
#include "vitrail/data/sources/open_pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace vitrail::tools {
namespace {

struct Options {
  std::string source, out, on_error = "fail";
  std::vector<std::string> splits;
  bool unlabelled = false;
  bool captions = false;
  bool follow_symlinks = false;
  bool force = false;
  std::vector<std::string> kinds;
  int64_t side = 0;
};

/// The splits to pack, in the order train, val, test.
std::vector<std::string> chosen_splits(const Options& o) {
  std::vector<std::string> splits = o.splits;
  if (splits.empty()) splits = o.captions ? data::pair_splits(o.source) : data::dataset_splits(o.source);
  std::vector<std::string> chosen;
  for (const std::string split : {"train", "val", "test"})
    if (std::find(splits.begin(), splits.end(), split) != splits.end()) chosen.push_back(split);
  return chosen;
}

using Opened = std::vector<std::pair<std::string, std::unique_ptr<data::Dataset>>>;
using OpenedPairs = std::vector<std::pair<std::string, data::Pairs>>;

/// The number of packed images by class and split.
std::string count_table(const Opened& parts, const data::Packed& packed) {
  Row head{"class"}, total{"all"};
  std::vector<Row> rows;
  for (size_t part = 0; part < parts.size(); ++part) {
    const auto& [split, dataset] = parts[part];
    const std::vector<int64_t>& images = packed.images[part];
    const auto& classes = dataset->classes();
    std::vector<int64_t> counts(classes.size());
    if (!classes.empty())
      for (const int64_t i : images) ++counts.at(size_t(dataset->label(i)));
    head.push_back(split);
    total.push_back(std::to_string(images.size()));
    if (rows.empty())
      for (const std::string& name : classes) rows.push_back({name});
    for (size_t c = 0; c < rows.size(); ++c) rows[c].push_back(std::to_string(c < counts.size() ? counts[c] : 0));
  }
  rows.insert(rows.begin(), head);
  rows.push_back(total);
  return to_table(rows);
}

/// The number of packed images and captions by split.
std::string count_table(const OpenedPairs& parts, const data::Packed& packed) {
  Row head{""}, images{"images"}, captions{"captions"}, left_out{"images left out, without a caption"};
  int64_t all_left_out = 0;
  for (size_t part = 0; part < parts.size(); ++part) {
    const auto& [split, pairs] = parts[part];
    int64_t count = 0;
    for (const int64_t i : packed.images[part]) count += std::ssize(pairs.captions[size_t(i)]);
    head.push_back(split);
    images.push_back(std::to_string(packed.images[part].size()));
    captions.push_back(std::to_string(count));
    left_out.push_back(std::to_string(pairs.left_out));
    all_left_out += pairs.left_out;
  }
  std::vector<Row> rows{head, images, captions};
  if (all_left_out > 0) rows.push_back(left_out);
  return to_table(rows);
}

void note(const std::string& text) { fmt::print(stderr, "note: {}\n", text); }

data::Packed write(const Options& o, const std::vector<data::PackPart>& parts) {
  TerminalProgress progress;
  return data::pack(o.out, parts,
                    {.skip_broken = o.on_error == "skip", .side = o.side, .tick = progress.tick("images checked")});
}

void report(const Options& o, const std::string& table, const data::Packed& packed) {
  for (const data::BrokenImage& file : packed.broken) fmt::print(stderr, "left out {}: {}\n", file.name, file.reason);
  if (packed.transparent > 0)
    note(fmt::format("left as they are: {} with transparent pixels, whose opacity would be lost",
                     recipes::several(packed.transparent, "large image")));
  fmt::print("{}{}: {} images", table, o.out, packed.size());
  if (o.side > 0) fmt::print(", {} of them made smaller", packed.shrunk);
  if (!packed.broken.empty()) fmt::print(", {} broken ones left out", packed.broken.size());
  fmt::print("\n");
}

/// Gives a part whose classes are some of the known ones, or in another order, the known classes by name. pack()
/// refuses other classes.
void take_classes(const std::vector<std::string>& known, std::unique_ptr<data::Dataset>& part) {
  std::vector<int64_t> labels;
  for (const std::string& name : part->classes()) {
    const auto found = std::find(known.begin(), known.end(), name);
    if (found == known.end()) return;
    labels.push_back(found - known.begin());
  }
  if (!labels.empty() && part->classes() != known) part = data::relabelled(std::move(part), std::move(labels), known);
}

void pack_labelled(const Options& o) {
  Opened opened;
  std::vector<data::PackPart> parts;
  for (const std::string& split : chosen_splits(o)) {
    opened.emplace_back(
        split, data::open_dataset(o.source, split, {.labelled = !o.unlabelled, .follow_symlinks = o.follow_symlinks}));
    take_classes(opened.front().second->classes(), opened.back().second);
    const data::Dataset& part = *opened.back().second;
    for (const std::string& text : part.notes()) note(text);
    if (!o.unlabelled && part.classes().empty())
      note(fmt::format("{}: the part '{}' has no labels; a classifier cannot be trained on it", o.source, split));
    parts.push_back({split, &part});
  }
  const data::Packed packed = write(o, parts);
  report(o, count_table(opened, packed), packed);
}

void pack_captioned(const Options& o) {
  OpenedPairs opened;
  for (const std::string& split : chosen_splits(o)) {
    opened.emplace_back(split,
                        data::open_pairs(o.source, split, {.kinds = o.kinds, .follow_symlinks = o.follow_symlinks}));
    for (const std::string& text : opened.back().second.images->notes()) note(text);
  }
  std::vector<data::PackPart> parts;
  parts.reserve(opened.size());
  for (const auto& [split, pairs] : opened) parts.push_back({split, pairs.images.get(), &pairs});
  const data::Packed packed = write(o, parts);
  report(o, count_table(opened, packed), packed);
}

void pack(const Options& o) {
  check<ConfigError>(o.force || !std::filesystem::exists(o.out), "pack",
                     "{} exists already; choose another name, or replace it with --force", o.out);
  const std::filesystem::path folder = std::filesystem::path(o.out).parent_path();
  check<ConfigError>(folder.empty() || std::filesystem::is_directory(folder), "pack",
                     "there is no folder {} to write {}", folder.string(), o.out);
  o.captions ? pack_captioned(o) : pack_labelled(o);
}

}  // namespace

void add_pack(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command =
      program.command("pack", "Decodes each image of a dataset once and writes them as one HDF5 file.");
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
  command.option("--on-error", o->on_error, "broken images: fail lists them and writes nothing, skip leaves them out")
      .choices({"fail", "skip"});
  command
      .option("--side", o->side,
              "make larger images smaller once, to this shorter side in pixels; 0: files as they are")
      .range(0, 16384);
  command.flag("--follow-symlinks", o->follow_symlinks, "follow symbolic links, as data.follow_symlinks");
  command.flag("--force", o->force, "replace a file of that name");
  command.example("vitrail pack photos/ -o photos.h5 --split train val");
  command.example("vitrail pack holiday/ -o holiday.h5 --side 512");
  command.example("vitrail pack emoji/ -o emoji.h5 --captions --kinds name short");
  command.action([o] { pack(*o); });
}

}  // namespace vitrail::tools
