// gradcheck: does the tape give the derivative of a function, or of a module? In f64, by central differences.
#pragma once

#include "vitrail/autograd/tape.h"

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace vitrail::ag {

using Vars = std::vector<Var>;

/// A function of tensors to check. A module is none: it has an overload of its own.
class CheckedFunction : public std::function<Var(const Vars&)> {
 public:
  /// Any callable that takes Vars and returns a Var, but no module.
  template <class F>
  requires(!requires(F & f) { f.parameters(); }) CheckedFunction(F fn) : function(std::move(fn)) {}
};

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
  // Where: position in the list, or a parameter's name; flat index, -1 for a random direction; both derivatives.
  int input = -1;
  std::string parameter;
  int64_t index = -1;
  double analytic = 0, numeric = 0;
  std::vector<std::string> ops;  // recorded by fn
};
/// "ok, worst 0.02 of the tolerance", "input 1 element 17: tape 0.25, difference 0.5" or "parameter 'fc.weight' ...".
std::string to_string(const GradReport& report);

/// Compares d<w, fn(inputs)>/d inputs for a random w with central differences. The same for each of `parameters` that
/// requires a gradient; their values and gradients are left as they were. Inputs are f64 tensors of any strides. fn
/// must be a pure function of inputs and parameters: random ops need a RandomScope inside fn. Throws ShapeError if an
/// input or a parameter is not f64.
GradReport gradcheck(const CheckedFunction& fn, const std::vector<Tensor>& inputs, const GradcheckOptions& options = {},
                     std::span<Parameter* const> parameters = {});
/// Normal random inputs of these shapes, once dense and once strided; the worse of both reports.
GradReport gradcheck(const CheckedFunction& fn, const std::vector<Shape>& shapes, const GradcheckOptions& options = {},
                     std::span<Parameter* const> parameters = {});

/// A module of one input: that input and all of its parameters. Build it under Scope(seed, DType::f64). A module of
/// several inputs: gradcheck([&](const ag::Vars& v) { return m(v[0], v[1]); }, shapes, {}, m.parameters()).
template <class M>
requires requires(M& module) { module.parameters(); }
GradReport gradcheck(M& module, const std::vector<Shape>& shapes, const GradcheckOptions& options = {}) {
  const std::vector<Parameter*> parameters = module.parameters();
  return gradcheck([&](const Vars& v) -> Var { return module(v[0]); }, shapes, options, parameters);
}

}  // namespace vitrail::ag
