#include "vitrail/autograd/gradcheck.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops/elementwise.h"
#include "vitrail/core/rng.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace vitrail::ag {
namespace {

double dot(const Tensor& a, const Tensor& b) {
  const auto x = a.to_vector(), y = b.to_vector();
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

/// One element of a tensor of any strides, by its row-major index.
double& element(Tensor& t, int64_t index) {
  double* at = t.data<double>();
  for (int axis = t.rank() - 1; axis >= 0; --axis) {
    at += index % t.size(axis) * t.stride(axis);
    index /= t.size(axis);
  }
  return *at;
}

class Checker {
 public:
  Checker(const std::function<Var(const Vars&)>& fn, const std::vector<Tensor>& inputs,
          std::span<Parameter* const> parameters, const GradcheckOptions& options)
      : fn_(fn), inputs_(inputs), moved_(inputs), options_(options), rng_(options.seed, "gradcheck") {
    for (Parameter* p : parameters) {
      if (!p->requires_grad()) continue;
      check<ShapeError>(p->value().dtype() == DType::f64, "gradcheck",
                        "parameter '{}' is {}; build the module under Scope(seed, DType::f64)", p->name(),
                        p->value().dtype());
      parameters_.push_back(p);
      p->update([&](Tensor& value) { moved_.push_back(value); });
    }
  }

  GradReport run() {
    analyse();
    int64_t entries = 0;
    for (const Tensor& x : moved_) entries += x.numel();
    entries <= options_.max_entries ? check_entries() : check_directions();
    report_.ok = report_.worst <= 1;
    return report_;
  }

 private:
  void analyse() {
    std::vector<Tensor> before;
    for (Parameter* p : parameters_) before.push_back(std::exchange(p->grad(), Tensor()));
    Tape tape;
    Vars xs;
    for (const Tensor& x : inputs_) xs.push_back(tape.input(x));
    const Var y = fn_(xs);
    for (const TapeEntry& entry : tape.report()) report_.ops.push_back(entry.op);
    cotangent_ = rng_.normal(y.shape(), 0, 1, DType::f64);
    tape.backward(y, cotangent_);
    for (const Var& x : xs) keep_gradient(tape.grad(x));
    for (size_t i = 0; i < parameters_.size(); ++i)
      keep_gradient(std::exchange(parameters_[i]->grad(), std::move(before[i])));
  }

  void keep_gradient(const Tensor& g) {
    gradients_.push_back(g.defined() ? g.contiguous() : zeros(moved_[gradients_.size()].shape(), DType::f64));
  }

  double value() const {
    Vars xs(inputs_.begin(), inputs_.end());
    return dot(fn_(xs).value(), cotangent_);
  }

  /// i: position among the inputs and then the parameters.
  void compare(size_t i, int64_t index, double analytic, double numeric) {
    const double tolerance = options_.absolute + options_.relative * std::max(std::abs(analytic), std::abs(numeric));
    const double ratio = std::abs(analytic - numeric) / tolerance;
    if (ratio <= report_.worst) return;  // false for NaN, which must be reported
    const bool is_input = i < inputs_.size();
    report_.worst = std::isnan(ratio) ? INFINITY : ratio;
    report_.input = is_input ? int(i) : -1;
    report_.parameter = is_input ? "" : parameters_[i - inputs_.size()]->name();
    report_.index = index;
    report_.analytic = analytic;
    report_.numeric = numeric;
  }

  void check_entries() {
    for (size_t i = 0; i < moved_.size(); ++i) {
      for (int64_t j = 0; j < moved_[i].numel(); ++j) {
        double& x = element(moved_[i], j);
        const double before = x, step = options_.eps * std::max(1.0, std::abs(before));
        x = before + step;
        const double above = value();
        x = before - step;
        const double below = value();
        x = before;
        compare(i, j, gradients_[i].span<double>()[size_t(j)], (above - below) / (2 * step));
      }
    }
  }

  void check_directions() {
    for (int direction = 0; direction < 8; ++direction) {
      for (size_t i = 0; i < moved_.size(); ++i) {
        const Tensor v = rng_.normal(moved_[i].shape(), 0, 1, DType::f64), before = moved_[i].clone();
        const auto value_at = [&](double step) {
          moved_[i].copy_(before + v * step);
          return value();
        };
        const double numeric = (value_at(options_.eps) - value_at(-options_.eps)) / (2 * options_.eps);
        moved_[i].copy_(before);
        compare(i, -1, dot(gradients_[i], v), numeric);
      }
    }
  }

  const std::function<Var(const Vars&)>& fn_;
  std::vector<Tensor> inputs_;
  std::vector<Parameter*> parameters_;
  std::vector<Tensor> moved_;  // the inputs, then the parameters' values, which share their elements
  GradcheckOptions options_;
  Rng rng_;
  Tensor cotangent_;
  std::vector<Tensor> gradients_;
  GradReport report_;
};

/// The same values with padding between rows and the axes stored in reverse order.
Tensor strided_copy(const Tensor& x) {
  Shape padded;
  for (int i = 0; i < x.rank(); ++i) padded = padded.insert(0, x.size(i) + 1);
  Tensor t = zeros(padded, DType::f64);
  for (int i = 0; i < x.rank(); ++i) t = t.slice(i, 0, t.size(i) - 1);
  for (int i = 0; i < x.rank() / 2; ++i) t = t.transpose(i, x.rank() - 1 - i);
  return std::move(t.copy_(x));
}

}  // namespace

std::string to_string(const GradReport& r) {
  if (r.ok) return "ok, worst " + detail::to_text(r.worst) + " of the tolerance";
  const std::string who = r.parameter.empty() ? "input " + std::to_string(r.input) : "parameter '" + r.parameter + "'";
  const std::string where = r.index < 0 ? " in a random direction" : " element " + std::to_string(r.index);
  return who + where + ": tape " + detail::to_text(r.analytic) + ", difference " + detail::to_text(r.numeric);
}

GradReport gradcheck(const CheckedFunction& fn, const std::vector<Tensor>& inputs, const GradcheckOptions& options,
                     std::span<Parameter* const> parameters) {
  // Works on copies, because it moves their entries one by one.
  std::vector<Tensor> copies;
  for (const Tensor& x : inputs) {
    check<ShapeError>(x.dtype() == DType::f64, "gradcheck", "needs f64 inputs, was given {} {}", x.dtype(), x.shape());
    copies.push_back(x.is_contiguous() ? x.clone() : strided_copy(x));
  }
  return Checker(fn, copies, parameters, options).run();
}

GradReport gradcheck(const CheckedFunction& fn, const std::vector<Shape>& shapes, const GradcheckOptions& options,
                     std::span<Parameter* const> parameters) {
  Rng rng(options.seed, "gradcheck inputs");
  std::vector<Tensor> dense, strided;
  for (const Shape& shape : shapes) {
    dense.push_back(rng.normal(shape, 0, 1, DType::f64));
    strided.push_back(strided_copy(dense.back()));
  }
  const GradReport plain = gradcheck(fn, dense, options, parameters),
                   views = gradcheck(fn, strided, options, parameters);
  return views.worst > plain.worst ? views : plain;
}

}  // namespace vitrail::ag
