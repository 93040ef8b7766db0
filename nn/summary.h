// Summary: a table of the layers of a model with output shapes, parameters and multiply-accumulates, from a forward
// pass.
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
  int depth = 0;     // number of calls it is nested in: 0 for the model
  Shape output;
  int64_t parameters = 0;  // of the module and its children
  int64_t macs = 0;        // in this call, children included
};

/// Runs forward without a tape and returns one row for each call of a module, callers before callees. Pass Compute::all
/// to a model to see all of its tokens.
std::vector<SummaryRow> summarize(const std::function<void()>& forward);

/// An aligned table of layer, output, parameters and share of the multiply-accumulates, without rows deeper than
/// max_depth.
std::string to_table(const std::vector<SummaryRow>& rows, int max_depth = 3);

/// Records one call of a module if summarize() runs on this thread.
class SummaryEntry {
 public:
  explicit SummaryEntry(const ModuleBase& module);
  ~SummaryEntry();
  SummaryEntry(const SummaryEntry&) = delete;
  SummaryEntry& operator=(const SummaryEntry&) = delete;
  /// Sets the shape of the output. A call that returns several tensors has none.
  void finish(const Shape& output);

 private:
  size_t row_ = 0;
  int64_t macs_before_ = 0;
  bool active_;
};

}  // namespace vitrail::nn
