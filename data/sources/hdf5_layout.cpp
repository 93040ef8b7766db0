#include "vitrail/data/sources/hdf5_layout.h"

#include "vitrail/core/error.h"
#include "vitrail/data/sources/source_parts.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace vitrail::data {

std::string inside(const std::string& group, const std::string& name) {
  return group.empty() ? name : group + "/" + name;
}

std::string group_of(const hdf5::Reader& file, const std::string& path, std::string_view split) {
  std::vector<std::string> there;
  for (const std::string group : {"", "train", "val", "test"})
    if (file.contains(inside(group, "image")) || file.contains(inside(group, "file"))) there.push_back(group);
  const std::optional<std::string> serving = serving_split(there, split);
  if (serving) return *serving;
  std::string names;
  for (const std::string& name : file.names("")) names += " " + name;
  fail<IoError>("dataset", "{}: no part '{}' with images (image, or file and offset); the file holds:{}", path, split,
                names);
}

std::vector<std::string> texts(const hdf5::Reader& file, const std::string& group, const std::string& name) {
  for (const std::string& place : {group, std::string()}) {
    if (!file.has_attribute(place, name)) continue;
    auto values = file.attribute<std::vector<std::string>>(place, name);
    if (values.size() != 1) return values;
    std::vector<std::string> lines;
    const std::string& text = values[0];
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      lines.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    return lines;
  }
  return {};
}

std::string joined_lines(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : "\n") + name;
  return out;
}

}  // namespace vitrail::data
