#include "tools/commands/confusion.h"

#include "vitrail/core/io/file.h"
#include "vitrail/data/draw/matrix_plot.h"
#include "vitrail/data/image/codec.h"

namespace vitrail::tools {
namespace {

constexpr size_t kMostDrawn = 4096;

/// A field of a CSV file, quoted if RFC 4180 requires it.
std::string field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::vector<std::string> write_confusion(const std::string& prefix, const Tensor& counts,
                                         const std::vector<std::string>& names) {
  const auto values = counts.span<int64_t>();
  std::string csv = "true class";
  for (const std::string& name : names) csv += "," + field(name);
  csv += "\n";
  for (size_t i = 0; i < names.size(); ++i) {
    csv += field(names[i]);
    for (size_t j = 0; j < names.size(); ++j) csv += "," + std::to_string(values[i * names.size() + j]);
    csv += "\n";
  }
  std::vector<std::string> files{prefix + ".csv"};
  durable_write(files[0], csv);
  if (names.size() > kMostDrawn) return files;
  files.push_back(prefix + ".png");
  const data::MatrixPlot layout{.title = "confusion", .row_label = "rows: true class", .column_label = "taken for"};
  data::write_png(files[1], data::matrix_plot(layout, values, names));
  return files;
}

}  // namespace vitrail::tools
