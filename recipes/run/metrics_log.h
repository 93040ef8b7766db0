// metrics.jsonl: the run's numbers, one flat JSON object a line.
#pragma once

#include "vitrail/recipes/run/stats.h"

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace vitrail::recipes {

/// Appends lines {"t": "train", "step": 10, ...}, each written whole and at once. A checkpoint remembers lines(), and
/// a run that goes on from it rewinds to there, so that nothing is said twice; a last line torn by a crash goes too.
class MetricsLog {
 public:
  /// Keeps the first `keep` lines of an existing file and drops the rest. Throws IoError.
  MetricsLog(const std::filesystem::path& path, int64_t keep);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  /// type: what the line is about, "train" or "val". Throws IoError, such as on a full disk.
  void log(std::string_view type, const Stats& values);
  int64_t lines() const { return lines_; }
  /// Waits until the lines are on the disk.
  void sync();
  /// The "time" of the last line kept, 0 without one: where the clock of a resumed run goes on.
  double last_time() const { return last_time_; }

 private:
  std::filesystem::path path_;
  int file_ = -1;
  int64_t lines_ = 0;
  double last_time_ = 0;
};

}  // namespace vitrail::recipes
