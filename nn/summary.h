// Summary: what a forward pass showed of a model: layer by layer its output shape, parameters and multiply-accumulates.
#pragma once

#include "vitrail/core/shape.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace vitrail::nn {

class ModuleBase;

struct SummaryRow {
  std::string name;  // "blocks.0.attn"; empty for the model
  int depth = 0;     // of calls: 0 for the model
  Shape output;
  int64_t parameters = 0;  // of the module and its children
  int64_t macs = 0;        // in this call, children included
};

/// Runs forward (without a tape) and returns one row for each module call in it, callers before callees.
std::vector<SummaryRow> summarize(const std::function<void()>& forward);

/// While it runs on this thread. A model then computes also what nothing reads, for others to see and count.
bool summarizing();

/// As an aligned table: layer, output, parameters, share of the multiply-accumulates; rows deeper than max_depth are
/// left out.
std::string to_table(const std::vector<SummaryRow>& rows, int max_depth = 3);

/// Notes one call of a module while summarize() runs on this thread; else does nothing.
class SummaryEntry {
 public:
  explicit SummaryEntry(const ModuleBase& module);
  ~SummaryEntry();
  SummaryEntry(const SummaryEntry&) = delete;
  SummaryEntry& operator=(const SummaryEntry&) = delete;
  void finish(const Shape& output);

 private:
  size_t row_ = 0;
  int64_t macs_before_ = 0;
  bool active_;
};

}  // namespace vitrail::nn
