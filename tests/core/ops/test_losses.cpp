#include "tests/core/ops/kernel_case.h"
#include "tests/support/reference.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/hdf5.h"
#include "vitrail/core/reference/losses.h"

#include <cmath>

namespace vitrail {
namespace {

using core::CrossEntropyOptions, core::CrossEntropyOut;
using test::Tensors;

/// Loss and gradient of the logits, from logits and labels or target.
Tensors hard(const Tensors& t, const CrossEntropyOptions& options) {
  const CrossEntropyOut out = core::cross_entropy(t[0], t[1], options);
  return {out.loss, core::cross_entropy_backward(ones({}, out.loss.dtype()), out.log_probs, t[1], options)};
}
Tensors soft(const Tensors& t) {
  const CrossEntropyOut out = core::soft_cross_entropy(t[0], t[1]);
  return {out.loss, core::soft_cross_entropy_backward(ones({}, out.loss.dtype()), out.log_probs, t[1])};
}
Tensors bce(const Tensors& t) {
  const Tensor loss = core::bce_with_logits(t[0], t[1]);
  return {loss, core::bce_with_logits_backward(ones({}, loss.dtype()), t[0], t[1])};
}

Tensor random_labels(int64_t n, int64_t classes) {
  Rng rng(10, "labels");
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < n; ++i) labels.push_back(rng.below(classes));
  return tensor(labels, {n});
}

}  // namespace

TEST_CASE("losses and their gradients equal those of PyTorch and timm") {
  const auto path = test::reference_path("losses.h5");
  if (!path) return;
  const hdf5::Reader file(*path);
  struct Case {
    std::string group, target;
    std::function<Tensors(const Tensors&)> run;
  };
  const auto smooth = [](double s) { return [s](const Tensors& t) { return hard(t, {s}); }; };
  const std::vector<Case> cases = {
      {"cross_entropy_ignore_index", "labels", smooth(0)},
      {"cross_entropy_smoothing0.0", "labels", smooth(0)},
      {"cross_entropy_smoothing0.0_large_logits", "labels", smooth(0)},
      {"cross_entropy_smoothing0.1", "labels", smooth(0.1)},
      {"cross_entropy_smoothing0.1_large_logits", "labels", smooth(0.1)},
      {"timm_label_smoothing", "labels", smooth(0.1)},
      {"timm_soft_target", "targets", soft},
      {"timm_soft_target_large_logits", "targets", soft},
      {"timm_bce", "targets", bce},
  };
  for (const Case& c : cases) {
    CAPTURE(c.group);
    const Tensor logits = file.read(c.group + "/inputs/logits"), target = file.read(c.group + "/inputs/" + c.target);
    const Tensor loss = file.read(c.group + "/outputs_f64/loss"), grad = file.read(c.group + "/grads_f64/logits");
    for (DType dtype : {DType::f32, DType::f64}) {
      const bool exact = dtype == DType::f64;
      const Tensors got = c.run({logits.to(dtype), is_floating(target.dtype()) ? target.to(dtype) : target});
      CHECK(test::relative_error(got[0], loss) < (exact ? 1e-11 : 1e-5));
      CHECK(test::relative_error(got[1], grad) < (exact ? 1e-10 : 3e-5));
    }
  }
}

TEST_CASE("losses agree with the reference in every type") {
  Rng rng(11, "losses");
  for (const Shape& shape : {Shape{1, 1}, Shape{3, 10}, Shape{700, 37}, Shape{2, 10007}}) {
    const Tensor logits = rng.normal(shape, 0, 3, DType::f64), labels = random_labels(shape[0], shape[1]);
    const Tensor target = core::softmax(rng.normal(shape, 0, 1, DType::f64));
    test::check_case(
        {"cross_entropy",
         [&](const Tensors& t) {
           return hard({t[0], labels}, {0.1});
         },
         2e-5, 6e-3,
         [&](const Tensors& t) { return Tensors{scalar(reference::cross_entropy(t[0], labels, 0.1), DType::f64)}; }},
        {logits});
    test::check_case(
        {"soft_cross_entropy", soft, 2e-5, 1e-2,
         [](const Tensors& t) { return Tensors{scalar(reference::soft_cross_entropy(t[0], t[1]), DType::f64)}; }},
        {logits, target});
    test::check_case(
        {"bce_with_logits", bce, 1e-5, 1e-2,
         [](const Tensors& t) { return Tensors{scalar(reference::bce_with_logits(t[0], t[1]), DType::f64)}; }},
        {logits, target});
  }
}

TEST_CASE("cross entropy is stable, scales with dloss and skips ignored rows") {
  const Tensor logits = tensor<float>({80, -80, 0, 1, 2, 3}, {2, 3}), labels = tensor<int64_t>({1, -1}, {2});
  const CrossEntropyOptions options{.ignore_index = -1};
  const CrossEntropyOut out = core::cross_entropy(logits, labels, options);
  CHECK(out.loss.item() == doctest::Approx(160));
  const auto dx = core::cross_entropy_backward(scalar(2), out.log_probs, labels, options).to_vector();
  CHECK(dx == std::vector<double>{2, -2, dx[2], 0, 0, 0});
  CHECK(core::cross_entropy(logits.to(DType::bf16), labels, options).loss.dtype() == DType::f32);
  const Tensor soft = core::one_hot(tensor<int64_t>({1, 2}, {2}), 3);
  CHECK(core::soft_cross_entropy(logits, soft).loss.item() ==
        doctest::Approx(core::cross_entropy(logits, tensor<int64_t>({1, 2}, {2}), {}).loss.item()));
  CHECK(core::bce_with_logits(tensor<float>({200, -200}, {2}), tensor<float>({1, 1}, {2})).item() == 100);
}

TEST_CASE("losses say what does not fit") {
  const Tensor logits = zeros({2, 3});
  CHECK_THROWS_WITH_AS(core::cross_entropy(logits, tensor<int64_t>({0, 3}, {2}), {}),
                       doctest::Contains("label 3 is outside [0, 3)"), ShapeError);
  CHECK_THROWS_WITH_AS(core::cross_entropy(logits, zeros({3}, DType::i64), {}),
                       doctest::Contains("logits are [2, 3], labels are [3]"), ShapeError);
  CHECK_THROWS_WITH_AS(core::cross_entropy(logits, zeros({2}), {}), doctest::Contains("must be i64"), ShapeError);
  CHECK_THROWS_WITH_AS(core::soft_cross_entropy(logits, zeros({2, 4})), doctest::Contains("target is [2, 4]"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(core::bce_with_logits(logits, zeros({2, 4})), doctest::Contains("[bce_with_logits]"),
                       ShapeError);
}

}  // namespace vitrail
