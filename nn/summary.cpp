#include "vitrail/nn/summary.h"

#include "vitrail/autograd/macs.h"
#include "vitrail/autograd/tape.h"
#include "vitrail/nn/module.h"

#include <algorithm>
#include <cstdio>

namespace vitrail::nn {
namespace {

struct Collector {
  std::vector<SummaryRow> rows;
  int depth = 0;
};
thread_local Collector* collector = nullptr;

std::string thousands(int64_t n) {
  std::string digits = std::to_string(n);
  for (int64_t i = int64_t(digits.size()) - 3; i > 0; i -= 3) digits.insert(size_t(i), 1, ',');
  return digits;
}

}  // namespace

SummaryEntry::SummaryEntry(const ModuleBase& module) : active_(collector != nullptr) {
  if (!active_) return;
  row_ = collector->rows.size();
  collector->rows.push_back({module.name(), collector->depth++, {}, module.parameter_count(), 0});
  macs_before_ = ag::macs();
}

SummaryEntry::~SummaryEntry() {
  if (!active_) return;
  collector->rows[row_].macs = ag::macs() - macs_before_;
  --collector->depth;
}

void SummaryEntry::finish(const Shape& output) {
  if (active_) collector->rows[row_].output = output;
}

std::vector<SummaryRow> summarize(const std::function<void()>& forward) {
  Collector mine;
  struct Restore {
    Collector* outer = collector;
    ~Restore() { collector = outer; }
  } restore;
  collector = &mine;
  const ag::NoGrad no_grad;
  forward();
  return std::move(mine.rows);
}

std::string to_table(const std::vector<SummaryRow>& rows, int max_depth) {
  const int64_t total = rows.empty() ? 0 : rows.front().macs;
  size_t width = 5;
  for (const SummaryRow& r : rows)
    if (r.depth <= max_depth) width = std::max(width, r.name.size() + size_t(2 * r.depth));
  std::string text;
  char line[256];
  const auto add = [&](const std::string& name, const std::string& output, const std::string& parameters,
                       const std::string& macs, const std::string& share) {
    std::snprintf(line, sizeof line, "%-*s  %-22s %14s %16s %7s\n", int(width), name.c_str(), output.c_str(),
                  parameters.c_str(), macs.c_str(), share.c_str());
    text += line;
  };
  add("layer", "output", "parameters", "MACs", "share");
  for (const SummaryRow& r : rows) {
    if (r.depth > max_depth) continue;
    char share[16] = "";
    if (total > 0) std::snprintf(share, sizeof share, "%.1f%%", 100.0 * double(r.macs) / double(total));
    const std::string name = r.name.empty() ? "(model)" : r.name;
    add(std::string(size_t(2 * r.depth), ' ') + name, to_string(r.output), thousands(r.parameters), thousands(r.macs),
        share);
  }
  return text;
}

}  // namespace vitrail::nn
