#include "vitrail/data/sources/path_labels.h"

#include "vitrail/core/error.h"
#include "vitrail/data/sources/class_match.h"
#include "vitrail/data/sources/source_parts.h"
#include "vitrail/data/sources/unread_files.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

namespace vitrail::data {
namespace {

namespace fs = std::filesystem;
using Paths = std::vector<std::string_view>;

/// The folder that all paths lie in: "a/b" for "a/b/1.jpg" and "a/b/c/2.jpg".
std::string_view common_folder(const Paths& paths) {
  std::string_view common = paths[0].substr(0, paths[0].rfind('/'));
  for (const std::string_view path : paths) {
    const size_t most = std::min(common.size(), path.size());
    size_t same = 0;
    while (same < most && path[same] == common[same]) ++same;
    const bool whole = same == common.size() && path.size() > same && path[same] == '/';
    if (!whole) common = common.substr(0, common.rfind('/', same == 0 ? 0 : same - 1));
    if (common.find('/') == std::string_view::npos) break;
  }
  return common;
}

/// The folders directly below `folder`.
std::set<std::string_view> folders_below(std::string_view folder, const Paths& paths) {
  std::set<std::string_view> names;
  for (const std::string_view path : paths)
    if (path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/')
      names.insert(first_folder(path.substr(folder.size() + 1)));
  names.erase("");
  return names;
}

std::string first_names(const std::set<std::string_view>& names) {
  constexpr size_t kShown = 6;
  std::string out;
  size_t shown = 0;
  for (const std::string_view name : names) {
    if (shown++ == kShown) return out + ", ...";
    out += (out.empty() ? "" : ", ") + std::string(name);
  }
  return out;
}

/// Refuses a folder too many above the classes.
void check_not_nested(const Paths& paths, const std::string& source) {
  const std::string_view folder = common_folder(paths);
  const std::set<std::string_view> below = folders_below(folder, paths);
  if (below.size() < 2) return;
  const bool parts = std::all_of(below.begin(), below.end(), is_part_name), archive = !fs::is_directory(source);
  const std::string there = (fs::path(source) / folder).string();
  fail<DataError>("dataset",
                  "{}: all {} images lie in the one folder '{}', which has {} folders ({}); that is a folder too many: "
                  "{}",
                  source, paths.size(), folder, below.size(), first_names(below),
                  archive ? "make the archive without it"
                  : parts ? "move them up, or give data.root=" + there
                          : "move them up, or give data.root=" + there +
                                " (and data.val_root=FOLDER for the images to evaluate on)");
}

/// Refuses classes that are parts, classes that hold parts, and a class that holds the other classes again.
void check_are_classes(const std::set<std::string_view>& classes, const Paths& paths, const std::string& source) {
  check<DataError>(!std::all_of(classes.begin(), classes.end(), is_part_name), "dataset",
                   "{}: its folders ({}) are parts, not classes; make an archive or a folder of each", source,
                   first_names(classes));
  std::map<std::string_view, std::set<std::string_view>> inside;  // the folders in each class folder
  for (const std::string_view path : paths) {
    const std::string_view name = first_folder(path);
    if (const std::string_view below = first_folder(path.substr(name.size() + 1)); !below.empty())
      inside[name].insert(below);
  }
  size_t with_parts = 0;
  for (const auto& item : inside) {
    const std::string_view name = item.first;
    const std::set<std::string_view>& below = item.second;
    with_parts += below.size() > 1 && std::all_of(below.begin(), below.end(), is_part_name);
    const auto again = [&](std::string_view folder) { return folder != name && classes.contains(folder); };
    check<DataError>(std::count_if(below.begin(), below.end(), again) < 2, "dataset",
                     "{}: the folder '{}' has folders with the names of classes beside it ({}); keep one of both",
                     source, name, first_names(below));
  }
  check<DataError>(with_parts < classes.size(), "dataset",
                   "{}: each class folder holds parts ({}); put the class folders into the parts, as in train/{}",
                   source, first_names(inside[*classes.begin()]), *classes.begin());
}

}  // namespace

PathLabels labels_from_paths(const std::vector<std::string_view>& paths, const SourceOptions& options,
                             const std::string& source) {
  PathLabels out;
  const auto has_no_folder = [](std::string_view path) { return first_folder(path).empty(); };
  const auto flat = std::find_if(paths.begin(), paths.end(), has_no_folder);
  if (!options.labelled || std::all_of(paths.begin(), paths.end(), has_no_folder)) return out;
  check<DataError>(flat == paths.end(), "dataset",
                   "{}: '{}' lies beside the class folders; move it into one, or read the dataset without labels",
                   source, flat == paths.end() ? std::string_view{} : *flat);

  std::set<std::string_view> folders;
  for (const std::string_view path : paths) folders.insert(first_folder(path));
  const bool listed = std::all_of(folders.begin(), folders.end(), [&](std::string_view folder) {
    return std::find(options.classes.begin(), options.classes.end(), folder) != options.classes.end();
  });
  if (!listed && folders.size() == 1) check_not_nested(paths, source);
  if (!listed && folders.size() > 1) check_are_classes(folders, paths, source);
  if (options.classes.empty())
    out.classes.assign(folders.begin(), folders.end());
  else
    out.classes = options.classes;
  out.labels.resize(paths.size());
  std::map<std::string_view, int64_t> label_of;
  for (size_t i = 0; i < out.classes.size(); ++i) {
    const bool fresh = label_of.emplace(out.classes[i], int64_t(i)).second;
    check<DataError>(fresh, "dataset", "{}: class '{}' is listed twice", source, out.classes[i]);
  }
  std::vector<std::string> unknown;
  for (const std::string_view folder : folders)
    if (!label_of.contains(folder)) unknown.emplace_back(folder);
  check<DataError>(
      unknown.empty(), "dataset",
      "{}: unknown class folders: {}; the known classes are {} (those of train, or of classes.txt if there "
      "is one); rename the folders or move them away",
      source, shortened_list(unknown), shortened_list(out.classes));
  for (size_t i = 0; i < paths.size(); ++i) out.labels[i] = label_of.at(first_folder(paths[i]));
  return out;
}

}  // namespace vitrail::data
