#include "vitrail/core/ops/losses.h"

#include "vitrail/core/kernels/rows.h"

#include <numeric>

namespace vitrail::core {
namespace {

/// The labels, each checked to be a class or ignored. counted: the number that are not ignored.
std::vector<int64_t> read_labels(const char* op, const Tensor& labels, const Shape& logits, int64_t ignored,
                                 int64_t& counted) {
  check<ShapeError>(logits.rank() == 2 && labels.shape() == Shape{logits[0]}, op,
                    "logits are {}, labels are {}; they must be [N, K] and [N]", logits, labels.shape());
  check<ShapeError>(labels.dtype() == DType::i64, op, "labels are {}, they must be i64", labels.dtype());
  const Tensor dense = labels.contiguous();
  const auto values = dense.span<int64_t>();
  counted = 0;
  for (int64_t label : values) {
    if (label == ignored) continue;
    check<ShapeError>(0 <= label && label < logits[1], op, "label {} is outside [0, {})", label, logits[1]);
    ++counted;
  }
  return {values.begin(), values.end()};
}

void check_target(const char* op, const Tensor& logits, const Tensor& target) {
  check<ShapeError>(logits.shape() == target.shape(), op, "logits are {}, target is {}", logits.shape(),
                    target.shape());
}

void check_pairs(const char* op, const Tensor& logits, const Tensor& target) {
  check<ShapeError>(logits.rank() == 2, op, "logits are {}, they must be [N, K]", logits.shape());
  check_target(op, logits, target);
}

double mean_of(const std::vector<double>& rows, int64_t count) {
  return std::accumulate(rows.begin(), rows.end(), 0.0) / double(count);
}

}  // namespace

CrossEntropyOut cross_entropy(const Tensor& logits, const Tensor& labels, const CrossEntropyOptions& options) {
  int64_t counted = 0;
  const auto classes = read_labels("cross_entropy", labels, logits.shape(), options.ignore_index, counted);
  const DType dtype = compute_dtype(logits.dtype());
  CrossEntropyOut out{{}, Tensor::empty(logits.shape(), dtype)};
  std::vector<double> losses(classes.size(), 0.0);
  const int64_t n = logits.size(1);
  dispatch_compute(logits.dtype(), "cross_entropy", [&](auto c) {
    using C = decltype(c);
    for_each_row<C, 1, 1>({logits}, {out.log_probs}, [&](int64_t row, auto& in, auto& log_probs) {
      kernels::table<C>().log_softmax(in[0], log_probs[0], n);
      const int64_t label = classes[size_t(row)];
      if (label == options.ignore_index) return;
      double loss = -(1 - options.smoothing) * double(log_probs[0][label]);
      if (options.smoothing != 0) loss -= options.smoothing / double(n) * kernels::table<C>().sum(log_probs[0], n);
      losses[size_t(row)] = loss;
    });
  });
  out.loss = scalar(mean_of(losses, counted), dtype);
  return out;
}

Tensor cross_entropy_backward(const Tensor& dloss, const Tensor& log_probs, const Tensor& labels,
                              const CrossEntropyOptions& options) {
  int64_t counted = 0;
  const auto classes = read_labels("cross_entropy_backward", labels, log_probs.shape(), options.ignore_index, counted);
  Tensor dx = Tensor::empty(log_probs.shape(), log_probs.dtype());
  const double factor = dloss.item() / double(counted);
  const int64_t n = log_probs.size(1);
  dispatch_compute(log_probs.dtype(), "cross_entropy_backward", [&](auto c) {
    using C = decltype(c);
    for_each_row<C, 1, 1>({log_probs}, {dx}, [&](int64_t row, auto& in, auto& out) {
      const int64_t label = classes[size_t(row)];
      if (label == options.ignore_index) return void(std::fill_n(out[0], n, C(0)));
      kernels::table<C>().exp_affine(in[0], C(factor), C(-factor * options.smoothing / double(n)), out[0], n);
      out[0][label] -= C(factor * (1 - options.smoothing));
    });
  });
  return dx;
}

CrossEntropyOut soft_cross_entropy(const Tensor& logits, const Tensor& target) {
  check_pairs("soft_cross_entropy", logits, target);
  const DType dtype = compute_dtype(logits.dtype());
  CrossEntropyOut out{{}, Tensor::empty(logits.shape(), dtype)};
  std::vector<double> losses(size_t(logits.size(0)), 0.0);
  const int64_t n = logits.size(1);
  dispatch_compute(logits.dtype(), "soft_cross_entropy", [&](auto c) {
    using C = decltype(c);
    for_each_row<C, 2, 1>({logits, target}, {out.log_probs}, [&](int64_t row, auto& in, auto& log_probs) {
      kernels::table<C>().log_softmax(in[0], log_probs[0], n);
      losses[size_t(row)] = -kernels::table<C>().dot(in[1], log_probs[0], n);
    });
  });
  out.loss = scalar(mean_of(losses, logits.size(0)), dtype);
  return out;
}

Tensor soft_cross_entropy_backward(const Tensor& dloss, const Tensor& log_probs, const Tensor& target) {
  check_pairs("soft_cross_entropy_backward", log_probs, target);
  Tensor dx = Tensor::empty(log_probs.shape(), log_probs.dtype());
  const double factor = dloss.item() / double(log_probs.size(0));
  const int64_t n = log_probs.size(1);
  dispatch_compute(log_probs.dtype(), "soft_cross_entropy_backward", [&](auto c) {
    using C = decltype(c);
    const auto& table = kernels::table<C>();
    for_each_row<C, 2, 1>({log_probs, target}, {dx}, [&](int64_t, auto& in, auto& out) {
      table.exp_affine(in[0], C(factor * table.sum(in[1], n)), 0, out[0], n);
      table.blend(out[0], 1, in[1], C(-factor), 0, out[0], n);
    });
  });
  return dx;
}

Tensor bce_with_logits(const Tensor& logits, const Tensor& target) {
  check_target("bce_with_logits", logits, target);
  return dispatch_compute(logits.dtype(), "bce_with_logits", [&](auto c) {
    using C = decltype(c);
    const int64_t n = Rows<C>(logits).length();
    std::vector<double> losses(size_t(Rows<C>(logits).count()), 0.0);
    for_each_row<C, 2, 0>({logits, target}, {}, [&](int64_t row, auto& in, auto&) {
      losses[size_t(row)] = kernels::table<C>().bce(in[0], in[1], n);
    });
    return scalar(mean_of(losses, logits.numel()), dtype_of<C>());
  });
}

Tensor bce_with_logits_backward(const Tensor& dloss, const Tensor& logits, const Tensor& target) {
  check_target("bce_with_logits_backward", logits, target);
  Tensor dx = Tensor::empty(logits.shape(), compute_dtype(logits.dtype()));
  const double factor = dloss.item() / double(logits.numel());
  dispatch_compute(logits.dtype(), "bce_with_logits_backward", [&](auto c) {
    using C = decltype(c);
    for_each_run<C, 2, 1>({logits, target}, {dx}, [&](auto& in, auto& out, int64_t n) {
      kernels::table<C>().bce_backward(in[0], in[1], C(factor), out[0], n);
    });
  });
  return dx;
}

}  // namespace vitrail::core
