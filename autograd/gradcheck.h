// gradcheck: is the tape's gradient of a function the derivative of what it computes? In f64, by central differences.
#pragma once

#include "vitrail/autograd/tape.h"

#include <functional>
#include <string>
#include <vector>

namespace vitrail::ag {

using Vars = std::vector<Var>;

struct GradcheckOptions {
  double eps = 1e-6;           // of the difference, times max(1, |x|)
  double absolute = 1e-7;      // passes if |analytic - numeric| <= absolute + relative * max(|analytic|, |numeric|)
  double relative = 1e-5;      //
  uint64_t seed = 0;           // of inputs, cotangent and directions
  int64_t max_entries = 4096;  // above that many inputs, 8 random directions are checked instead of every entry
};

struct GradReport {
  bool ok = true;
  double worst = 0;  // largest |analytic - numeric| / (absolute + relative * max(...)): 1 is the limit
  int input = -1;    // where: position in the list, flat index, both derivatives
  int64_t index = -1;
  double analytic = 0, numeric = 0;
  std::vector<std::string> ops;  // recorded by fn
};
/// "ok, worst 0.02 of the tolerance" or "input 1 element 17: tape 0.25, difference 0.5".
std::string to_string(const GradReport& report);

/// Compares d<w, fn(inputs)>/d inputs for a random w with central differences. Inputs are f64 tensors of any strides;
/// fn must be a pure function of them: random ops need a RandomScope inside fn.
/// Throws ShapeError if an input is not f64.
GradReport gradcheck(const std::function<Var(const Vars&)>& fn, const std::vector<Tensor>& inputs,
                     const GradcheckOptions& options = {});
/// Normal random inputs of these shapes, once dense and once strided; the worse of both reports.
GradReport gradcheck(const std::function<Var(const Vars&)>& fn, const std::vector<Shape>& shapes,
                     const GradcheckOptions& options = {});

}  // namespace vitrail::ag
