// The progress of a run: on a terminal one line that is rewritten, elsewhere a plain line every few seconds. It uses no
// colours and changes no terminal settings, so nothing needs to be restored when the program ends.
#pragma once

#include "vitrail/recipes/run/stats.h"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace vitrail::recipes {

/// Seconds as "01:12", "2:05:40" or "3d 04:10"; "--:--" if negative or not finite.
std::string clock_text(double seconds);

/// "3,068".
std::string count_text(int64_t count);
/// "1 epoch", "8 epochs".
std::string several(int64_t count, std::string_view thing);
/// A number of a report: "loss 2.0497"; of a share of images, "top1 25.22%", as `vitrail eval` prints it.
std::string stat_text(std::string_view name, double value);

/// What to do about an epoch that spent `waited` of its `seconds` on waiting for batches; nothing if that is less than
/// half of it, or a few seconds.
std::optional<std::string> waiting_hint(double seconds, double waited);

/// The smoothed speed of this process's steps.
class Speed {
 public:
  /// A step took `seconds`, including data_seconds of waiting for its batch.
  void add(double seconds, double data_seconds);
  /// The smoothed time of a step; 0 before the first.
  double seconds_per_step() const { return steps_ == 0 ? 0 : seconds_; }
  /// The part of that time spent waiting for data, in [0, 1].
  double data_share() const { return seconds_ > 0 ? data_seconds_ / seconds_ : 0; }

 private:
  int64_t steps_ = 0;
  double seconds_ = 0, data_seconds_ = 0;
};

struct ProgressView {
  int64_t epoch = 0, epochs = 0;  // epoch counts from 1
  int64_t step = 0, steps = 0;    // done and total in this epoch
  const char* phase = nullptr;    // "eval": replaces the numbers of training
  Stats stats;                    // of the last step
  std::string unit = "images";
  double units_per_s = 0, data_share = 0;
  int64_t memory = 0;        // bytes
  double seconds_left = -1;  // negative: unknown
};

/// "epoch 3/20 step 120/4000 loss 1.812 ... eta 01:12" in at most width characters. The least important parts are
/// dropped first.
std::string progress_line(const ProgressView& view, int width);

/// Shows ProgressViews and messages of a run on a stream. A stream that cannot be written, such as a terminal that is
/// gone, does not disturb the run.
class Progress {
 public:
  /// A live line if out is a terminal, TERM is not "dumb" and plain is false; else a line every plain_seconds.
  explicit Progress(std::FILE* out, bool plain = false, double plain_seconds = 10);
  /// Ends the live line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// True if enough time has passed for update() to show something.
  bool due() const;
  /// Shows the numbers if due().
  void update(const ProgressView& view);
  /// Prints a line that stays.
  void message(const std::string& text);

 private:
  using Clock = std::chrono::steady_clock;

  void write(const std::string& text);

  std::FILE* out_;
  bool live_;
  double interval_;
  bool shown_ = false;  // a live line is on the screen
  Clock::time_point next_ = Clock::now();
};

}  // namespace vitrail::recipes
