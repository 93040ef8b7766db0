// RunRecord: the numbers that a run has logged so far, for plots and reports.
#pragma once

#include "vitrail/recipes/run/run_folder.h"
#include "vitrail/recipes/run/stats.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

/// One line of metrics.jsonl.
struct MetricsRow {
  std::string type;  // "train": a step; "val": an evaluation
  Stats values;      // "step", "epoch", "loss", ...; without those that were not finite
};

struct RunRecord {
  RunFiles files;
  std::vector<MetricsRow> rows;  // in the order of the run

  /// The last part of the folder's path.
  std::string name() const;
  /// Names of the numbers in rows of a type, sorted.
  std::vector<std::string> names(std::string_view type) const;
  /// One number over another, from the rows of a type that have both.
  struct Series {
    std::vector<double> x, y;
  };
  Series series(std::string_view type, std::string_view x, std::string_view y) const;
};

/// Reads the log of a run, which may still be training. A last line that a crash cut off is left out.
/// Throws ConfigError if folder has no metrics.jsonl.
RunRecord read_run(const std::filesystem::path& folder);

}  // namespace vitrail::recipes
