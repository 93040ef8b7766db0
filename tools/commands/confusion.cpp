#include "tools/commands/confusion.h"

#include "tools/commands/csv.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/draw/matrix_plot.h"
#include "vitrail/data/image/codec.h"

#include <fmt/format.h>

#include <algorithm>

namespace vitrail::tools {

std::string most_confused(const Tensor& counts, const std::vector<std::string>& names) {
  constexpr size_t kShown = 3;
  struct Pair {
    int64_t count;
    size_t from, to;
  };
  std::vector<Pair> pairs;
  const auto values = counts.span<int64_t>();
  for (size_t i = 0; i < names.size(); ++i)
    for (size_t j = 0; j < names.size(); ++j)
      if (i != j && values[i * names.size() + j] > 0) pairs.push_back({values[i * names.size() + j], i, j});
  std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.count > b.count; });
  std::string text;
  for (size_t i = 0; i < std::min(pairs.size(), kShown); ++i)
    text += fmt::format("{}{} -> {} {}", i > 0 ? ", " : "", names[pairs[i].from], names[pairs[i].to], pairs[i].count);
  return text;
}

std::vector<std::string> confusion_files(const std::string& name, size_t classes) {
  if (name.empty()) return {};
  if (name.ends_with(".csv") || name.ends_with(".png")) return {name};
  if (classes > kMostDrawn) return {name + ".csv"};
  return {name + ".csv", name + ".png"};
}

void write_confusion(const std::string& file, const Tensor& counts, const std::vector<std::string>& names) {
  const auto values = counts.span<int64_t>();
  if (file.ends_with(".png")) {
    const data::MatrixPlot layout{.title = "confusion", .row_label = "rows: true class", .column_label = "taken for"};
    return data::write_png(file, data::matrix_plot(layout, values, names));
  }
  std::string csv = "true class";
  for (const std::string& name : names) csv += "," + csv_field(name);
  csv += "\n";
  for (size_t i = 0; i < names.size(); ++i) {
    csv += csv_field(names[i]);
    for (size_t j = 0; j < names.size(); ++j) csv += "," + std::to_string(values[i * names.size() + j]);
    csv += "\n";
  }
  durable_write(file, csv);
}

}  // namespace vitrail::tools
