#include "tools/reference/attributes.h"
#include "tools/reference/reference_case.h"
#include "vitrail/autograd/ops.h"
#include "vitrail/nn/losses/dino_loss.h"
#include "vitrail/nn/losses/ibot_loss.h"
#include "vitrail/nn/losses/koleo.h"
#include "vitrail/nn/losses/sinkhorn.h"

namespace vitrail::reference {

namespace {

using ag::Var;
using hdf5::Reader;

/// [A, B, K] -> [A B, K].
Tensor in_rows(const Tensor& x) { return x.reshape({x.size(0) * x.size(1), x.size(2)}); }

/// Successive calls of DINOv2's DINOLoss, which sums over all pairs of views: student_i [S, B, K], teacher_i [T, B, K].
Outcome run_class_loss(const Reader& file, const std::string& path, DType dtype) {
  const Attributes a(file, path);
  const TensorMap inputs = read_group(file, path + "/inputs", dtype);
  const std::vector<double> temps = a.numbers("teacher_temps");
  nn::DinoCenter center(a.integer("out_dim", 0), a("center_momentum"), dtype);
  TensorMap got, grads;
  for (size_t i = 0; i < temps.size(); ++i) {
    const std::string index = std::to_string(i);
    const Tensor &scores = inputs.at("student_" + index), &teacher = inputs.at("teacher_" + index);
    const Tensor targets = center.targets(in_rows(teacher), temps[i]);
    got["center_" + index] = center.value().clone();  // the file has the one in use
    ag::Tape tape;
    const Var student = tape.input(scores);
    const double pairs = double(scores.size(0) * teacher.size(0));
    const Var loss = nn::dino_local_loss(reshape(student, in_rows(scores).shape()), targets, scores.size(0),
                                         teacher.size(0), a("student_temp")) *
                     pairs;
    center.update(in_rows(teacher));
    tape.backward(loss);
    got["probs_" + index] = targets;
    got["loss_" + index] = loss.value();
    grads["student_" + index] = tape.grad(student);
  }
  Outcome outcome;
  outcome.compare(got, file, path + "/outputs", dtype, kForward);
  outcome.compare(grads, file, path + "/grads", dtype, kGradients);
  return outcome;
}

/// iBOTPatchLoss on scores of all patches [B, N, K]. Its two layouts, all patches and masked ones, have one value.
Outcome run_ibot(const Reader& file, const std::string& path, DType dtype) {
  const Attributes a(file, path);
  const TensorMap inputs = read_group(file, path + "/inputs", dtype);
  const Tensor& teacher = inputs.at("teacher");
  const nn::MaskedPatches masked = nn::masked_patches(inputs.at("masks"));
  nn::DinoCenter center(teacher.size(2), a("center_momentum"), dtype);
  const Tensor targets = center.targets(in_rows(teacher), a("teacher_temp"));
  const Tensor masked_targets = core::index_select(targets, 0, masked.rows);
  center.update(in_rows(teacher));

  ag::Tape tape;
  const Var student = tape.input(inputs.at("student"));
  const Var rows = index_select(reshape(student, in_rows(teacher).shape()), 0, masked.rows);
  const Var loss = nn::ibot_loss(rows, masked_targets, masked, a("student_temp"));
  tape.backward(loss);

  TensorMap got{{"loss_dense", loss.value()}, {"loss_masked", loss.value()}};
  got["teacher_probs"] = targets.reshape(teacher.shape());
  got["center_after"] = center.value().reshape({1, 1, teacher.size(2)});
  const Tensor masked_scores = core::index_select(in_rows(teacher), 0, masked.rows);
  got["sinkhorn"] = nn::sinkhorn_targets(masked_scores, a("teacher_temp"));
  const Tensor grad = tape.grad(student);
  Outcome outcome;
  outcome.compare(got, file, path + "/outputs", dtype, kForward);
  outcome.compare({{"student_dense", grad}, {"student_masked", grad}}, file, path + "/grads", dtype, kGradients);
  return outcome;
}

Outcome run_koleo(const Reader& file, const std::string& path, DType dtype) {
  const TensorMap inputs = read_group(file, path + "/inputs", dtype);
  ag::Tape tape;
  const Var x = tape.input(inputs.at("x"));
  const Var loss = nn::koleo_loss(x);
  tape.backward(loss);
  Outcome outcome;
  outcome.compare({{"loss", loss.value()}}, file, path + "/outputs", dtype, kForward);
  outcome.compare({{"x", tape.grad(x)}}, file, path + "/grads", dtype, kGradients);
  return outcome;
}

Outcome run_sinkhorn(const Reader& file, const std::string& path, DType dtype) {
  const Attributes a(file, path);
  const Tensor teacher = read_group(file, path + "/inputs", dtype).at("teacher");
  const std::vector<double> temps = a.numbers("teacher_temps");
  TensorMap got;
  for (size_t i = 0; i < temps.size(); ++i) got["q_" + std::to_string(i)] = nn::sinkhorn_targets(teacher, temps[i]);
  Outcome outcome;
  outcome.compare(got, file, path + "/outputs", dtype, kForward);
  return outcome;
}

}  // namespace

std::vector<CaseKind> dinov2_kinds() {
  return {{"dinov2_dino_loss", run_class_loss},
          {"dinov2_ibot_patch_loss", run_ibot},
          {"dinov2_koleo", run_koleo},
          {"dinov2_sinkhorn_knopp", run_sinkhorn}};
}

}  // namespace vitrail::reference
