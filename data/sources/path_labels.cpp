#include "vitrail/data/sources/path_labels.h"

#include "vitrail/core/error.h"

#include <algorithm>
#include <map>
#include <set>

namespace vitrail::data {
namespace {

std::string_view first_folder(std::string_view path) {
  const size_t slash = path.find('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

}  // namespace

bool is_image_name(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return false;
  std::string ending(name.substr(dot));
  for (char& c : ending)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return ending == ".jpg" || ending == ".jpeg" || ending == ".png" || ending == ".bmp";
}

PathLabels labels_from_paths(const std::vector<std::string_view>& paths, const SourceOptions& options,
                             const std::string& source) {
  PathLabels out;
  const auto has_no_folder = [](std::string_view path) { return first_folder(path).empty(); };
  const auto flat = std::find_if(paths.begin(), paths.end(), has_no_folder);
  if (!options.labelled || std::all_of(paths.begin(), paths.end(), has_no_folder)) return out;
  check<DataError>(flat == paths.end(), "dataset",
                   "{}: '{}' lies beside the class folders; move it into one, or read the dataset without labels",
                   source, flat == paths.end() ? std::string_view{} : *flat);

  if (options.classes.empty()) {
    std::set<std::string_view> names;
    for (std::string_view path : paths) names.insert(first_folder(path));
    out.classes.assign(names.begin(), names.end());
  } else {
    out.classes = options.classes;
  }
  out.labels.resize(paths.size());
  std::map<std::string_view, int64_t> label_of;
  for (size_t i = 0; i < out.classes.size(); ++i) {
    const bool fresh = label_of.emplace(out.classes[i], int64_t(i)).second;
    check<DataError>(fresh, "dataset", "{}: class '{}' is listed twice", source, out.classes[i]);
  }
  for (size_t i = 0; i < paths.size(); ++i) {
    const auto found = label_of.find(first_folder(paths[i]));
    check<DataError>(found != label_of.end(), "dataset", "{}: the folder of '{}' is not one of the {} known classes",
                     source, paths[i], out.classes.size());
    out.labels[i] = found->second;
  }
  return out;
}

}  // namespace vitrail::data
