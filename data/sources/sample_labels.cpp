#include "vitrail/data/sources/sample_labels.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/json.h"
#include "vitrail/data/sources/class_match.h"
#include "vitrail/data/sources/unread_files.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <string>

namespace vitrail::data {
namespace {

constexpr int64_t kMostLabels = 1 << 20;

std::string_view stem_of(std::string_view name) { return name.substr(0, name.size() - ending_of(name).size()); }

/// The label in a .json file as text; empty if there is none.
std::string label_in_json(std::string_view text, const std::string& name) {
  try {
    const Json json = Json::parse(text);
    for (const char* key : {"label", "cls", "class", "class_name"}) {
      const Json* value = json.find(key);
      if (value == nullptr || value->is_null()) continue;
      if (value->is_string()) return value->as_string();
      const double number = value->is_number() ? value->as_double() : -1;
      check<DataError>(number >= 0 && number < kMostLabels && number == std::floor(number), "dataset",
                       "{}: '{}' is {}; a label is a name or a whole number", name, key, value->excerpt());
      return std::to_string(int64_t(number));
    }
    return {};
  } catch (const JsonError& error) {
    fail<DataError>("dataset", "{}: {}", name, error.reason());
  }
}

std::optional<int64_t> as_number(std::string_view text) {
  int64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && stop == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

/// Labels that are numbers: they count the classes.
PathLabels by_number(const std::vector<int64_t>& numbers, const std::vector<std::string>& classes,
                     const std::string& source) {
  const auto [least, largest] = std::minmax_element(numbers.begin(), numbers.end());
  const int64_t limit = classes.empty() ? kMostLabels : int64_t(classes.size());
  check<DataError>(*least >= 0 && *largest < limit, "dataset", "{}: labels run from {} to {}; they must be 0 to {}",
                   source, *least, *largest, limit - 1);
  PathLabels out{classes, numbers};
  for (int64_t i = 0; classes.empty() && i <= *largest; ++i) out.classes.push_back(std::to_string(i));
  return out;
}

/// Labels that are names of classes.
PathLabels by_name(const std::vector<std::string>& labels, const std::vector<std::string>& classes,
                   const std::string& source) {
  PathLabels out{classes, {}};
  if (classes.empty()) {
    const std::set<std::string> names(labels.begin(), labels.end());
    out.classes.assign(names.begin(), names.end());
  }
  std::map<std::string_view, int64_t> number;
  for (size_t i = 0; i < out.classes.size(); ++i) number.emplace(out.classes[i], int64_t(i));
  for (const std::string& label : labels) {
    const auto found = number.find(label);
    check<DataError>(found != number.end(), "dataset", "{}: unknown label '{}'; the known classes are {}", source,
                     label, shortened_list(out.classes));
    out.labels.push_back(found->second);
  }
  return out;
}

}  // namespace

std::string_view key_of(std::string_view name) {
  const size_t slash = name.rfind('/');
  return name.substr(0, name.find('.', slash == name.npos ? 0 : slash));
}

std::string_view trimmed_text(std::span<const std::byte> file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  return begin == text.npos ? std::string_view{} : text.substr(begin, text.find_last_not_of(kBlank) + 1 - begin);
}

Sidecars::Sidecars(const std::vector<TarShards::Member>& members, std::string_view ending) {
  for (const TarShards::Member& member : members) {
    const std::string_view name = member.file.name;
    const bool image = is_image_name(name);
    if (!image && ending_of(name) != ending) continue;
    Sample& sample = by_key_[{member.shard, key_of(name)}];
    ++(image ? sample.images : sample.files);
    if (image) continue;
    sample.file = &member;
    by_name_.emplace(Place{member.shard, stem_of(name)}, &member);
  }
}

const TarShards::Member* Sidecars::of(const TarShards::Member& image) const {
  const std::string_view name = image.file.name;
  const auto same = by_name_.find({image.shard, stem_of(name)});
  if (same != by_name_.end()) return same->second;
  const auto sample = by_key_.find({image.shard, key_of(name)});
  const bool alone = sample != by_key_.end() && sample->second.images == 1 && sample->second.files == 1;
  return alone ? sample->second.file : nullptr;
}

std::optional<PathLabels> labels_from_samples(const TarShards& shards, const std::vector<TarShards::Member>& members,
                                              const SourceOptions& options) {
  const Sidecars classes(members, ".cls"), records(members, ".json");
  std::vector<std::string> labels;
  std::vector<int64_t> numbers;
  const TarShards::Member* without = nullptr;
  for (const TarShards::Member& member : members) {
    if (!is_image_name(member.file.name)) continue;
    std::string label;
    if (const TarShards::Member* file = classes.of(member))
      label = trimmed_text(shards.content(*file));
    else if (const TarShards::Member* record = records.of(member))
      label = label_in_json(trimmed_text(shards.content(*record)), shards.name(*record));
    if (label.empty())
      without = &member;
    else if (const std::optional<int64_t> number = as_number(label))
      numbers.push_back(*number);
    labels.push_back(std::move(label));
  }
  const auto empty = size_t(std::count(labels.begin(), labels.end(), std::string()));
  if (empty == labels.size()) return std::nullopt;
  check<DataError>(empty == 0, "dataset", "{} has no label in a .cls or .json file beside it, as {} other images have",
                   without == nullptr ? std::string() : shards.name(*without), labels.size() - empty);
  check<DataError>(numbers.empty() || numbers.size() == labels.size(), "dataset",
                   "{}: {} labels are numbers and {} are names", shards.names(), numbers.size(),
                   labels.size() - numbers.size());
  return numbers.empty() ? by_name(labels, options.classes, shards.names())
                         : by_number(numbers, options.classes, shards.names());
}

}  // namespace vitrail::data
