// metrics.jsonl: the numbers of a run, one flat JSON object per line.
#pragma once

#include "vitrail/recipes/run/stats.h"

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace vitrail::recipes {

/// Appends lines {"t": "train", "step": 10, ...}, each with one write. A checkpoint stores lines(); a run that resumes
/// from it drops the lines after that, including one that a crash cut off, so that no step is logged twice.
class MetricsLog {
 public:
  /// Keeps the first `keep` lines of an existing file and drops the rest. Throws IoError.
  MetricsLog(const std::filesystem::path& path, int64_t keep);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  /// type: "train" or "val". Throws IoError, for example on a full disk.
  void log(std::string_view type, const Stats& values);
  /// The number of lines in the file.
  int64_t lines() const { return lines_; }
  /// Waits until the lines are on the disk.
  void sync();
  /// "time" in the last line kept, 0 without one. The clock of a resumed run continues from it.
  double last_time() const { return last_time_; }

 private:
  std::filesystem::path path_;
  int file_ = -1;
  int64_t lines_ = 0;
  double last_time_ = 0;
};

}  // namespace vitrail::recipes
