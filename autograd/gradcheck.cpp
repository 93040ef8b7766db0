#include "vitrail/autograd/gradcheck.h"

#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"

#include <algorithm>
#include <cmath>

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
  Checker(const std::function<Var(const Vars&)>& fn, const std::vector<Tensor>& inputs, const GradcheckOptions& options)
      : fn_(fn), inputs_(inputs), options_(options), rng_(options.seed, "gradcheck") {}

  GradReport run() {
    analyse();
    int64_t entries = 0;
    for (const Tensor& x : inputs_) entries += x.numel();
    entries <= options_.max_entries ? check_entries() : check_directions();
    report_.ok = report_.worst <= 1;
    return report_;
  }

 private:
  void analyse() {
    Tape tape;
    Vars xs;
    for (const Tensor& x : inputs_) xs.push_back(tape.input(x));
    const Var y = fn_(xs);
    for (const TapeEntry& entry : tape.report()) report_.ops.push_back(entry.op);
    cotangent_ = rng_.normal(y.shape(), 0, 1, DType::f64);
    tape.backward(y, cotangent_);
    for (size_t i = 0; i < xs.size(); ++i) {
      const Tensor& g = tape.grad(xs[i]);
      gradients_.push_back(g.defined() ? g.contiguous() : zeros(inputs_[i].shape(), DType::f64));
    }
  }

  double value() const {
    Vars xs(inputs_.begin(), inputs_.end());
    return dot(fn_(xs).value(), cotangent_);
  }

  void compare(int input, int64_t index, double analytic, double numeric) {
    const double tolerance = options_.absolute + options_.relative * std::max(std::abs(analytic), std::abs(numeric));
    const double ratio = std::abs(analytic - numeric) / tolerance;
    if (ratio <= report_.worst) return;  // false for NaN, which must be reported
    report_.worst = std::isnan(ratio) ? INFINITY : ratio;
    report_.input = input;
    report_.index = index;
    report_.analytic = analytic;
    report_.numeric = numeric;
  }

  void check_entries() {
    for (size_t i = 0; i < inputs_.size(); ++i) {
      for (int64_t j = 0; j < inputs_[i].numel(); ++j) {
        double& x = element(inputs_[i], j);
        const double before = x, step = options_.eps * std::max(1.0, std::abs(before));
        x = before + step;
        const double above = value();
        x = before - step;
        const double below = value();
        x = before;
        compare(int(i), j, gradients_[i].span<double>()[size_t(j)], (above - below) / (2 * step));
      }
    }
  }

  void check_directions() {
    for (int direction = 0; direction < 8; ++direction) {
      for (size_t i = 0; i < inputs_.size(); ++i) {
        const Tensor v = rng_.normal(inputs_[i].shape(), 0, 1, DType::f64);
        const Tensor before = inputs_[i];
        const auto moved = [&](double step) {
          Tensor x = before.clone();
          for (int64_t j = 0; j < x.numel(); ++j) element(x, j) += step * v.span<double>()[size_t(j)];
          inputs_[i] = x;
          return value();
        };
        const double numeric = (moved(options_.eps) - moved(-options_.eps)) / (2 * options_.eps);
        inputs_[i] = before;
        compare(int(i), -1, dot(gradients_[i], v), numeric);
      }
    }
  }

  const std::function<Var(const Vars&)>& fn_;
  std::vector<Tensor> inputs_;
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
  const std::string where = r.index < 0 ? " in a random direction" : " element " + std::to_string(r.index);
  return "input " + std::to_string(r.input) + where + ": tape " + detail::to_text(r.analytic) + ", difference " +
         detail::to_text(r.numeric);
}

GradReport gradcheck(const std::function<Var(const Vars&)>& fn, const std::vector<Tensor>& inputs,
                     const GradcheckOptions& options) {
  // Entries are moved one by one: the caller's tensors are left alone.
  std::vector<Tensor> copies;
  for (const Tensor& x : inputs) {
    check<ShapeError>(x.dtype() == DType::f64, "gradcheck", "needs f64 inputs, was given {} {}", x.dtype(), x.shape());
    copies.push_back(x.is_contiguous() ? x.clone() : strided_copy(x));
  }
  return Checker(fn, copies, options).run();
}

GradReport gradcheck(const std::function<Var(const Vars&)>& fn, const std::vector<Shape>& shapes,
                     const GradcheckOptions& options) {
  Rng rng(options.seed, "gradcheck inputs");
  std::vector<Tensor> dense, strided;
  for (const Shape& shape : shapes) {
    dense.push_back(rng.normal(shape, 0, 1, DType::f64));
    strided.push_back(strided_copy(dense.back()));
  }
  const GradReport plain = gradcheck(fn, dense, options), views = gradcheck(fn, strided, options);
  return views.worst > plain.worst ? views : plain;
}

}  // namespace vitrail::ag
