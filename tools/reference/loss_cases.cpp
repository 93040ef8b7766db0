#include "tools/reference/attributes.h"
#include "tools/reference/reference_case.h"
#include "vitrail/autograd/ops.h"
#include "vitrail/autograd/tape.h"

namespace vitrail::reference {

namespace {

using ag::Var;
using hdf5::Reader;

using Loss = Var (*)(const Var& logits, const TensorMap& inputs, const Attributes& a);

Var cross_entropy(const Var& logits, const TensorMap& inputs, const Attributes& a) {
  const double smoothing = a("label_smoothing", a("smoothing", 0));
  return ag::cross_entropy(logits, inputs.at("labels"),
                           {.smoothing = smoothing, .ignore_index = a.integer("ignore_index", -100)});
}

Var soft_cross_entropy(const Var& logits, const TensorMap& inputs, const Attributes&) {
  return ag::soft_cross_entropy(logits, inputs.at("targets"));
}

/// timm's binary cross entropy. With a threshold, targets above it count as 1 and others as 0.
Var binary_cross_entropy(const Var& logits, const TensorMap& inputs, const Attributes& a) {
  Tensor target = inputs.at("targets").clone();
  if (a.has("target_threshold")) {
    std::vector<double> values = target.to_vector();
    for (double& v : values) v = v > a("target_threshold") ? 1 : 0;
    target = tensor(values, target.shape()).to(target.dtype());
  }
  return ag::bce_with_logits(logits, target);
}

/// A loss of inputs/logits and its gradient.
template <Loss loss_of>
Outcome run_loss(const Reader& file, const std::string& path, DType dtype) {
  const TensorMap inputs = read_group(file, path + "/inputs", dtype);
  ag::Tape tape;
  const Var logits = tape.input(inputs.at("logits"));
  const Var loss = loss_of(logits, inputs, Attributes(file, path));
  tape.backward(loss);
  Outcome outcome;
  outcome.compare({{"loss", loss.value()}}, file, path + "/outputs", dtype, kForward);
  outcome.compare({{"logits", tape.grad(logits)}}, file, path + "/grads", dtype, kGradients);
  return outcome;
}

}  // namespace

std::vector<CaseKind> loss_kinds() {
  return {{"cross_entropy_", run_loss<cross_entropy>},
          {"timm_label_smoothing", run_loss<cross_entropy>},
          {"timm_soft_target", run_loss<soft_cross_entropy>},
          {"timm_bce", run_loss<binary_cross_entropy>}};
}

}  // namespace vitrail::reference
