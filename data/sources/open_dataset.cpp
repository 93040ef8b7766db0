#include "vitrail/data/sources/open_dataset.h"

#include "vitrail/core/error.h"
#include "vitrail/data/io/lines.h"
#include "vitrail/data/sources/cifar.h"
#include "vitrail/data/sources/hdf5_dataset.h"
#include "vitrail/data/sources/idx.h"
#include "vitrail/data/sources/image_folder.h"
#include "vitrail/data/sources/register_source.h"
#include "vitrail/data/sources/source_parts.h"
#include "vitrail/data/sources/tar_shards.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace vitrail::data {
namespace {

namespace fs = std::filesystem;

/// The class names in a well-known file beside the data; empty if there is no such file.
std::vector<std::string> listed_classes(const std::string& path) {
  const fs::path folder = fs::is_directory(path) ? fs::path(path) : fs::path(path).parent_path();
  for (const char* name : {"classes.txt", "batches.meta.txt", "fine_label_names.txt"})
    if (fs::is_regular_file(folder / name)) return read_lines(folder / name);
  return {};
}

const SourcePart* find_split(const std::vector<SourcePart>& parts, std::string_view split) {
  const auto found = std::find_if(parts.begin(), parts.end(), [&](const SourcePart& p) { return p.split == split; });
  return found == parts.end() ? nullptr : &*found;
}

std::unique_ptr<Dataset> open_part(const SourcePart& part, std::string_view split, const SourceOptions& options) {
  switch (part.kind) {
    case SourceKind::cifar10:
      return open_cifar(part.paths, CifarKind::cifar10, options);
    case SourceKind::cifar100:
      return open_cifar(part.paths, CifarKind::cifar100, options);
    case SourceKind::tar:
      return open_tar_shards(part.paths, options);
    case SourceKind::idx:
      return open_idx(part.paths[0], part.paths.size() > 1 ? part.paths[1] : std::string(), options);
    case SourceKind::hdf5:
      return open_hdf5(part.paths[0], has_parts_inside(part) ? split : "", options);
    case SourceKind::folder:
      return open_image_folder(part.paths[0], options);
    case SourceKind::table:  // only find_pair_parts() and find_conversation_parts() return these
    case SourceKind::questions:
      break;
  }
  __builtin_unreachable();
}

std::unique_ptr<Dataset> open_registered(const DatasetSource& source, const std::string& path, std::string_view split,
                                         const SourceOptions& options) {
  const std::optional<std::string> serving = serving_split(source.splits, split);
  check<DataError>(serving.has_value(), "dataset", "{} has no part '{}'; the source '{}' has: {}{}", path, split,
                   source.name, fmt::join(source.splits, ", "), way_forward(source.splits, split));
  return source.open(path, *serving, options);
}

}  // namespace

std::unique_ptr<Dataset> open_dataset(const std::string& path, std::string_view split, const SourceOptions& options) {
  if (const DatasetSource* source = find_source(path)) return open_registered(*source, path, split, options);
  const std::vector<SourcePart> parts = find_parts(path);
  const SourcePart& part = pick_part(parts, split, path);
  SourceOptions chosen = options;
  if (chosen.classes.empty()) chosen.classes = listed_classes(path);
  const SourcePart* train = find_split(parts, "train");
  const bool named_by_folders = part.kind == SourceKind::tar || part.kind == SourceKind::folder;
  if (chosen.labelled && chosen.classes.empty() && named_by_folders && train != nullptr && train != &part)
    chosen.classes = open_part(*train, "train", chosen)->classes();
  return open_part(part, split, chosen);
}

std::vector<std::string> dataset_splits(const std::string& path) {
  const DatasetSource* source = find_source(path);
  if (source != nullptr) return source->splits;
  const std::vector<SourcePart> parts = find_parts(path);
  return has_parts_inside(parts[0]) ? hdf5_splits(parts[0].paths[0]) : splits_of(parts);
}

bool is_undivided(const std::string& path) {
  if (find_source(path)) return false;
  try {
    const std::vector<SourcePart> parts = find_parts(path);
    return parts.size() == 1 && parts[0].split.empty() && !has_parts_inside(parts[0]);
  } catch (const Error&) {  // whoever opens it says what is wrong
    return false;
  }
}

}  // namespace vitrail::data
