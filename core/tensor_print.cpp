#include "vitrail/core/error.h"
#include "vitrail/core/tensor.h"

#include <algorithm>
#include <cstdio>
#include <ostream>

namespace vitrail {
namespace {

constexpr int64_t kWhole = 1000;  // elements that are printed without "..."
constexpr int64_t kEdge = 3;      // else this many at each end of an axis

std::string element_text(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.4g", value);
  return buffer;
}

class Printer {
 public:
  Printer(std::ostream& out, const Tensor& t) : out_(out), whole_(t.numel() <= kWhole) {
    measure(t);
    print(t, 1);
  }

 private:
  /// fn(index) for each index that is shown, gap() in the middle where some are left out.
  template <class F, class Gap>
  void for_shown(int64_t n, F&& fn, Gap&& gap) const {
    for (int64_t i = 0; i < n; ++i) {
      if (!whole_ && n > 2 * kEdge && i == kEdge) {
        gap();
        i = n - kEdge;
      }
      fn(i);
    }
  }

  void measure(const Tensor& t) {
    if (t.rank() == 0)
      width_ = std::max(width_, element_text(t.item()).size());
    else
      for_shown(
          t.size(0), [&](int64_t i) { measure(t[i]); }, [] {});
  }

  void print(const Tensor& t, int indent) {
    if (t.rank() == 0) {
      const std::string text = element_text(t.item());
      out_ << std::string(width_ - text.size(), ' ') << text;
      return;
    }
    const std::string next = t.rank() == 1 ? ", " : ",\n" + std::string(size_t(indent), ' ');
    out_ << '[';
    for_shown(
        t.size(0),
        [&](int64_t i) {
          if (i > 0) out_ << next;
          print(t[i], indent + 1);
        },
        [&] { out_ << next << "..."; });
    out_ << ']';
  }

  std::ostream& out_;
  bool whole_;
  size_t width_ = 0;
};

}  // namespace

std::ostream& operator<<(std::ostream& out, const Tensor& t) {
  if (!t.defined()) return out << "undefined";
  Printer(out, t);
  return out << ' ' << to_string(t.dtype()) << ' ' << to_string(t.shape());
}

}  // namespace vitrail
