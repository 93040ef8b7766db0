#include "vitrail/data/sources/class_match.h"

#include "vitrail/core/error.h"
#include "vitrail/data/io/lines.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

namespace vitrail::data {
namespace {

using Names = std::vector<std::string>;

class Relabelled final : public Dataset {
 public:
  Relabelled(std::unique_ptr<Dataset> whole, std::vector<int64_t> to, Names names)
      : whole_(std::move(whole)), to_(std::move(to)), names_(std::move(names)) {}

  int64_t size() const override { return whole_->size(); }
  const Names& classes() const override { return names_; }
  int64_t label(int64_t index) const override { return to_.at(size_t(whole_->label(index))); }
  Sample get(int64_t index) const override { return {whole_->get(index).image, label(index)}; }
  std::string name(int64_t index) const override { return whole_->name(index); }
  Bytes encoded(int64_t index) const override { return whole_->encoded(index); }
  Names notes() const override { return whole_->notes(); }

 private:
  std::unique_ptr<Dataset> whole_;
  std::vector<int64_t> to_;
  Names names_;
};

/// The whole number that the text is, written as we write it; nothing if it is none.
std::optional<int64_t> number(const std::string& text) {
  int64_t value = -1;
  std::from_chars(text.data(), text.data() + text.size(), value);
  if (value < 0 || std::to_string(value) != text) return std::nullopt;
  return value;
}

std::vector<int64_t> count_up(size_t n) {
  std::vector<int64_t> numbers(n);
  std::iota(numbers.begin(), numbers.end(), int64_t{0});
  return numbers;
}

/// The places of the names by the numbers at their ends, so that 10 comes after 9, and class_10 after class_9. Nothing
/// unless each name has a number of its own behind the same text.
std::optional<std::vector<int64_t>> places_by_number(const Names& names) {
  constexpr std::string_view kDigits = "0123456789";
  std::map<int64_t, size_t> sorted;
  std::string_view text;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string_view name = names[i];
    const size_t begin = name.find_last_not_of(kDigits) + 1;
    if (i == 0) text = name.substr(0, begin);
    int64_t value = 0;
    const bool is_number = std::from_chars(name.data() + begin, name.data() + name.size(), value).ec == std::errc{};
    if (!is_number || name.substr(0, begin) != text || !sorted.emplace(value, i).second) return std::nullopt;
  }
  std::vector<int64_t> places(names.size());
  int64_t place = 0;
  for (const auto& item : sorted) places[item.second] = place++;
  return places;
}

/// Whether the names are 0, 1, 2, ...
bool are_first_labels(const Names& names) {
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] != std::to_string(i)) return false;
  return true;
}

/// "cat is output 0, dog is output 1, ...": the first pairs.
std::string pairs_text(const Names& data, const std::vector<int64_t>& to, const Names& model) {
  constexpr size_t kShown = 3;
  std::string text;
  for (size_t i = 0; i < std::min(data.size(), kShown); ++i) {
    const std::string output = model.empty() ? "output " + std::to_string(to[i]) : "'" + model[size_t(to[i])] + "'";
    text += (i > 0 ? ", '" : "'") + data[i] + "' is " + output;
  }
  return data.size() > kShown ? text + ", ..." : text;
}

/// The places of the names in the model; -1 for a name that it does not have.
std::vector<int64_t> places_by_name(std::string_view op, const ClassList& data, const ClassList& model) {
  std::map<std::string_view, std::vector<int64_t>> outputs;
  for (size_t i = 0; i < model.names.size(); ++i) outputs[model.names[i]].push_back(int64_t(i));
  std::vector<int64_t> places;
  for (const std::string& name : data.names) {
    int64_t& place = places.emplace_back(-1);
    if (const auto found = outputs.find(name); found != outputs.end()) {
      place = found->second.front();
      check<DataError>(found->second.size() == 1, op,
                       "'{}' is the name of the outputs {} and {} of {}; data.classes=FILE tells them apart by number",
                       name, place, found->second.back(), model.owner);
    } else if (data.mapped) {
      const std::optional<int64_t> output = number(name);
      if (output && *output < model.count) place = *output;
    }
  }
  return places;
}

[[noreturn]] void fail_to_match(std::string_view op, const ClassList& data, const ClassList& model,
                                const std::vector<int64_t>& places) {
  constexpr std::string_view kCure = "rename the classes, or give a mapping with data.classes=FILE";
  Names unknown, missing;
  std::vector<bool> found(size_t(model.count));
  for (size_t i = 0; i < places.size(); ++i) {
    if (places[i] < 0)
      unknown.push_back(data.names[i]);
    else
      found[size_t(places[i])] = true;
  }
  for (size_t i = 0; i < model.names.size(); ++i)
    if (!found[i]) missing.push_back(model.names[i]);
  check<DataError>(unknown.size() < data.names.size(), op, "{} has {} classes ({}), {} has {}{}; no name agrees; {}",
                   data.owner, data.names.size(), shortened_list(data.names), model.owner, model.count,
                   model.names.empty() ? std::string(" without names") : " (" + shortened_list(model.names) + ")",
                   kCure);
  fail<DataError>(op, "only some classes of {} are classes of {}: unknown there: {}; missing here: {}; {}", data.owner,
                  model.owner, shortened_list(unknown), missing.empty() ? "none" : shortened_list(missing), kCure);
}

/// The names of new classes, which are numbers, become the labels.
void take_as_numbers(Names& names, std::map<std::string, int64_t>& to, const std::string& file) {
  constexpr int64_t kMostLabels = 1 << 20;
  int64_t largest = 0;
  for (auto& [old, label] : to) {
    label = *number(names[size_t(label)]);
    largest = std::max(largest, label);
  }
  check<DataError>(largest < kMostLabels, "data.classes", "{}: {} is too large for the number of a class", file,
                   largest);
  names.clear();
  for (int64_t i = 0; i <= largest; ++i) names.push_back(std::to_string(i));
}

}  // namespace

std::string shortened_list(const std::vector<std::string>& names) {
  constexpr size_t kShown = 6;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) text += (i > 0 ? ", " : "") + names[i];
  return names.size() > kShown ? text + ", ... (" + std::to_string(names.size()) + " in all)" : text;
}

ClassMatch match_classes(std::string_view op, const ClassList& data, const ClassList& model) {
  const size_t n = data.names.size();
  const auto same = [&](const std::vector<int64_t>& to) { return int64_t(n) == model.count && to == count_up(n); };
  if (data.names == model.names) return {count_up(n), "", true};
  std::vector<int64_t> places = places_by_name(op, data, model);
  const auto unknown = size_t(std::count(places.begin(), places.end(), -1));
  if (unknown == 0) return {places, "", same(places)};

  const bool unnamed = model.names.empty(), equally_many = int64_t(n) == model.count;
  const bool first_labels = unnamed && int64_t(n) < model.count && are_first_labels(data.names);
  if (unknown < n || (!equally_many && !first_labels)) fail_to_match(op, data, model, places);
  places = count_up(n);
  if (const auto numbered = places_by_number(data.names); numbered && !model.by_bytes) places = *numbered;
  const bool by_number = places != count_up(n);
  std::string note;
  if (!data.mapped || !unnamed)
    note = (unnamed ? model.owner + " does not name its classes"
                    : "no class of " + data.owner + " has a name of " + model.owner + "'s") +
           (by_number ? ", so the order of their numbers counts: " : ", so their order counts: ") +
           pairs_text(data.names, places, model.names) + "; data.classes=FILE gives another mapping";
  return {places, note, same(places)};
}

std::unique_ptr<Dataset> relabelled(std::unique_ptr<Dataset> whole, std::vector<int64_t> to,
                                    std::vector<std::string> names) {
  check<ShapeError>(to.size() == whole->classes().size(), "relabelled", "{} labels for {} classes", to.size(),
                    whole->classes().size());
  return std::make_unique<Relabelled>(std::move(whole), std::move(to), std::move(names));
}

std::unique_ptr<Dataset> with_class_file(std::unique_ptr<Dataset> whole, const std::string& file) {
  Names names;                               // of the new classes
  std::map<std::string, int64_t> number_of;  // by these names
  std::map<std::string, int64_t> to;         // by the names in the data
  bool renames = false;
  for (const std::string& line : read_lines(file)) {
    const size_t tab = line.find('\t');
    renames |= tab != std::string::npos;
    const std::string old = line.substr(0, tab), name = tab == std::string::npos ? line : line.substr(tab + 1);
    check<DataError>(!old.empty() && !name.empty(), "data.classes", "{}: no name beside the tab in '{}'", file, line);
    const auto [place, fresh] = number_of.emplace(name, int64_t(names.size()));
    if (fresh) names.push_back(name);
    check<DataError>(to.emplace(old, place->second).second, "data.classes", "{}: '{}' is named twice", file, old);
  }
  if (renames && std::all_of(names.begin(), names.end(), [](const std::string& n) { return number(n).has_value(); }))
    take_as_numbers(names, to, file);

  Names unnamed;
  std::vector<int64_t> labels;
  for (const std::string& name : whole->classes()) {
    const auto found = to.find(name);
    if (found == to.end())
      unnamed.push_back(name);
    else
      labels.push_back(found->second);
  }
  check<DataError>(unnamed.empty(), "data.classes", "{} has no line for the classes: {}", file,
                   shortened_list(unnamed));
  return relabelled(std::move(whole), std::move(labels), std::move(names));
}

}  // namespace vitrail::data
