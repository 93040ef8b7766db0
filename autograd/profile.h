// Profile: where the time of a step goes, operation by operation.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace vitrail::ag {

/// One operation in one direction, summed over its calls.
struct ProfileRow {
  std::string op;  // "linear", "linear backward", or a name given to lap()
  int64_t calls = 0;
  double seconds = 0;
  int64_t macs = 0;   // multiply-accumulates; the backward of a product counts twice its forward
  int64_t bytes = 0;  // of inputs and outputs (and their gradients), each counted once
};

/// Scope that times the operations which this thread's tapes record and sweep. Time between two operations counts for
/// the second one, so the rows add up to all the time spent in the scope.
class Profile {
 public:
  Profile();
  ~Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  /// Adds the time since the last operation to the row of this name: for work that no tape sees, such as the optimizer.
  void lap(const std::string& name, int64_t macs = 0, int64_t bytes = 0);
  /// Slowest first.
  std::vector<ProfileRow> rows() const;

  /// The live Profile of this thread, or null.
  static Profile* current();

 private:
  using Clock = std::chrono::steady_clock;
  Profile* outer_;
  Clock::time_point last_ = Clock::now();
  std::vector<ProfileRow> rows_;
};

}  // namespace vitrail::ag
