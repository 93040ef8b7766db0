#include "vitrail/recipes/run/run_record.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/json.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <set>

namespace vitrail::recipes {
namespace {

std::optional<double> find(const Stats& values, std::string_view name) {
  for (const auto& [key, value] : values)
    if (key == name) return value;
  return {};
}

/// Nothing for a line that is cut off or no object: a run that was killed may leave one.
std::optional<Json> json_object(const std::string& line) {
  try {
    Json json = Json::parse(line);
    if (json.is_object()) return json;
  } catch (const JsonError&) {
  }
  return {};
}

MetricsRow to_row(const Json& object) {
  MetricsRow row{.type = {}, .values = {}};
  for (const auto& [name, value] : object.as_object()) {
    if (name == "t" && value.is_string()) row.type = value.as_string();
    if (value.is_number()) row.values.emplace_back(name, value.as_double());
  }
  return row;
}

}  // namespace

std::string RunRecord::name() const { return (files.path() / "").parent_path().filename().string(); }

std::vector<std::string> RunRecord::names(std::string_view type) const {
  std::set<std::string> names;
  for (const MetricsRow& row : rows)
    if (row.type == type)
      for (const auto& [name, value] : row.values) names.insert(name);
  return {names.begin(), names.end()};
}

RunRecord::Series RunRecord::series(std::string_view type, std::string_view x, std::string_view y) const {
  Series series;
  for (const MetricsRow& row : rows) {
    if (row.type != type) continue;
    const auto at = find(row.values, x), value = find(row.values, y);
    if (!at || !value) continue;
    series.x.push_back(*at);
    series.y.push_back(*value);
  }
  return series;
}

RunRecord read_run(const std::filesystem::path& folder) {
  RunRecord record{.files = RunFiles(folder), .rows = {}};
  std::ifstream in(record.files.metrics());
  check<ConfigError>(in.good(), "run", "{}: no such file; a run's folder is needed", record.files.metrics().string());
  for (std::string line; std::getline(in, line);) {
    if (const std::optional<Json> object = json_object(line)) record.rows.push_back(to_row(*object));
  }
  return record;
}

}  // namespace vitrail::recipes
