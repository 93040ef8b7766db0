#include "tools/reference/attributes.h"
#include "tools/reference/error_measure.h"
#include "tools/reference/reference_case.h"
#include "tools/reference/trajectory.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/optim/adamw.h"
#include "vitrail/optim/schedule.h"
#include "vitrail/recipes/methods/dino_step.h"

#include <cmath>
#include <map>

namespace vitrail::reference {

namespace {

using ag::Var;
using hdf5::Reader;

// ---- the loss -------------------------------------------------------------------------------------------------------

optim::PolynomialSchedule teacher_temp_of(const Attributes& a) {
  return {.base = a("teacher_temp"),
          .warmup = {a("warmup_teacher_temp_epochs"), a("warmup_teacher_temp"), optim::Ends::both}};
}

/// Successive calls of one loss: inputs student_i and teacher_i at epochs[i].
Outcome run_loss(const Reader& file, const std::string& path, DType dtype) {
  const Attributes a(file, path);
  const TensorMap inputs = read_group(file, path + "/inputs", dtype);
  const auto epochs = file.attribute<std::vector<int64_t>>(path, "epochs");
  const auto temp = teacher_temp_of(a);
  nn::DinoCenter center(a.integer("out_dim", 0), a("center_momentum"), dtype);
  TensorMap got, grads;
  std::vector<double> temps;
  for (int64_t epoch = 0; epoch < a.integer("nepochs", 0); ++epoch) temps.push_back(temp(double(epoch)));
  got["teacher_temp_schedule"] = tensor(temps, {int64_t(temps.size())});
  for (size_t i = 0; i < epochs.size(); ++i) {
    const std::string index = std::to_string(i);
    const Tensor& teacher = inputs.at("teacher_" + index);
    ag::Tape tape;
    const Var student = tape.input(inputs.at("student_" + index));
    const Var loss = nn::dino_loss(student, center.targets(teacher, temp(double(epochs[i]))), a.integer("ncrops", 0),
                                   recipes::DinoStep::kGlobalViews, a("student_temp"));
    center.update(teacher);
    tape.backward(loss);
    got["loss_" + index] = loss.value();
    got["center_" + index] = center.value().clone();
    grads["student_" + index] = tape.grad(student);
  }
  Outcome outcome;
  outcome.compare(got, file, path + "/outputs", dtype, kForward);
  outcome.compare(grads, file, path + "/grads", dtype, kGradients);
  return outcome;
}

// ---- a whole run ----------------------------------------------------------------------------------------------------

nn::VitConfig backbone_of(const Attributes& a) {
  nn::VitConfig c;
  c.img_size = a.integer("img_size", 0);
  c.patch_size = a.integer("patch_size", 0);
  c.num_classes = 0;
  c.embed_dim = a.integer("embed_dim", 0);
  c.depth = a.integer("depth", 0);
  c.num_heads = a.integer("num_heads", 0);
  c.mlp_ratio = a("mlp_ratio", 4);
  c.qkv_bias = a("qkv_bias", 1) != 0;
  c.ln_eps = a("layer_norm_eps");
  c.pos_interp = core::PosInterp::scale_offset;
  return c;
}

recipes::DinoOptions options_of(const Attributes& a) {
  return {.views = recipes::DinoStep::kGlobalViews + a.integer("n_local_crops", 0),
          .head = {.out_dim = a.integer("out_dim", 0),
                   .hidden_dim = a.integer("head_hidden_dim", 0),
                   .bottleneck_dim = a.integer("head_bottleneck_dim", 0),
                   .num_layers = a.integer("head_nlayers", 0),
                   .norm_last_layer = a("norm_last_layer") != 0},
          .student_temp = a("student_temp"),
          .center_momentum = a("center_momentum"),
          .clip_grad = a("clip_grad"),
          .freeze_last_layer = a.integer("freeze_last_layer_epochs", 0)};
}

struct Schedules {
  optim::CosineSchedule lr, weight_decay, momentum;
  optim::PolynomialSchedule teacher_temp;  // by epoch
};

Schedules schedules_of(const Attributes& a) {
  const double per_epoch = a("niter_per_ep"), steps = a("epochs") * per_epoch;
  return {.lr = {.base = a("lr"),
                 .final = a("min_lr"),
                 .steps = steps,
                 .warmup = {a("warmup_epochs") * per_epoch, 0, optim::Ends::both}},
          .weight_decay = {.base = a("weight_decay"), .final = a("weight_decay_end"), .steps = steps},
          .momentum = {.base = a("momentum_teacher"), .final = 1, .steps = steps},
          .teacher_temp = teacher_temp_of(a)};
}

void compare_schedule(Outcome& outcome, const Reader& file, const std::string& path,
                      const std::function<double(double)>& schedule) {
  double t = 0;
  for (const double expected : file.read(path).to_vector()) {
    const double error = std::abs(schedule(t++) - expected);
    outcome.add(error == 0 ? 0 : error / std::abs(expected), kSchedule.f64);
  }
}

/// The views of one step, by size: [n B, 3, h, w].
std::vector<Tensor> crops_of(const TensorMap& inputs, int64_t step) {
  std::vector<Tensor> crops;
  for (const char* name : {"global_crops", "local_crops"}) {
    const auto found = inputs.find(name);
    if (found == inputs.end() || found->second.size(1) == 0) continue;
    const Tensor t = found->second.select(0, step);  // [n, B, 3, h, w]
    crops.push_back(t.reshape({t.size(0) * t.size(1), t.size(2), t.size(3), t.size(4)}));
  }
  return crops;
}

/// The gradient of the first step, before clipping.
TensorMap first_gradient(recipes::DinoStep& dino, const std::vector<Tensor>& crops, double teacher_temp) {
  const Tensor targets = dino.center.targets(dino.teacher(std::span(crops).first(1)).value(), teacher_temp);
  ag::Tape tape;
  tape.backward(nn::dino_loss(dino.student(crops), targets, dino.options.views, recipes::DinoStep::kGlobalViews,
                              dino.options.student_temp));
  TensorMap grads;
  for (ag::Parameter* p : dino.student.parameters())
    if (p->grad().defined()) grads[p->name()] = p->grad().clone();
  dino.student.zero_grad();
  return grads;
}

/// The norms of the named parameters, in that order: one row of an output.
std::vector<double> norms_of(const nn::ModuleBase& model, const std::vector<std::string>& order) {
  std::vector<double> norms;
  norms.reserve(order.size());
  for (const std::string& name : order) norms.push_back(core::norm(model.parameter(name).value()));
  return norms;
}

Outcome run_trajectory(const Reader& file, const std::string& path, DType dtype) {
  const Attributes a(file, path);
  const TensorMap inputs = read_group(file, path + "/inputs", dtype);
  const nn::MakeBackbone make = [&](const nn::Scope& scope) {
    return std::make_unique<nn::VisionTransformer>(scope, backbone_of(a));
  };
  const auto adamw = [&](const std::vector<optim::ParamGroup>& groups) {
    const optim::AdamWOptions options{.beta1 = a("adamw_beta1"), .beta2 = a("adamw_beta2"), .eps = a("adamw_eps")};
    return std::make_unique<optim::AdamW>(groups, options);
  };
  recipes::DinoStep dino(nn::Scope(0, dtype), make, make, adamw, options_of(a));
  const TensorMap start = read_group(file, path + "/params", dtype);
  nn::load_state(dino.student, start, path);
  nn::load_state(dino.teacher, start, path);
  const Schedules now = schedules_of(a);

  Outcome outcome;
  compare_schedule(outcome, file, path + "/schedules/lr", now.lr);
  compare_schedule(outcome, file, path + "/schedules/weight_decay", now.weight_decay);
  compare_schedule(outcome, file, path + "/schedules/momentum", now.momentum);
  compare_schedule(outcome, file, path + "/schedules/teacher_temp", now.teacher_temp);

  const std::string outputs = path + "/outputs" + (dtype == DType::f64 ? "_f64/" : "/");
  const auto read = [&](const std::string& name) { return file.read(outputs + name); };
  const Tensor losses = read("losses"), centers = read("centers"), grad_norms = read("grad_norms");
  const Tensor student_norms = read("student_param_norms"), teacher_norms = read("teacher_param_norms");
  const auto order = a.lines("param_order"), grad_order = a.lines("grad_order");
  const auto expect_row = [&](const std::vector<double>& got, const Tensor& expected, int64_t step, double tolerance) {
    outcome.add(max_difference(tensor(got, {int64_t(got.size())}), expected.select(0, step)), tolerance);
  };
  const int64_t steps = losses.size(0);
  outcome.compare(first_gradient(dino, crops_of(inputs, 0), now.teacher_temp(0)), file, path + "/grads", dtype,
                  kGradients);
  for (int64_t step = 0; step < steps; ++step) {
    const std::vector<Tensor> crops = crops_of(inputs, step);
    const int64_t epoch = step / a.integer("niter_per_ep", 1);
    const std::string suffix = "_output_" + std::to_string(step);
    // Scores of later steps come from weights with Adam's noise. There the official f32 run is 4e-5 off the official
    // f64 run.
    const bool scores = (step == 0 || dtype == DType::f64) && file.contains(outputs + "student" + suffix);
    if (scores) outcome.add(relative_error(dino.student(crops).value(), read("student" + suffix)), kForward.of(dtype));
    const auto result =
        dino(crops,
             {.epoch = epoch, .step = step, .lr = now.lr(double(step)), .weight_decay = now.weight_decay(double(step))},
             {.teacher_temp = now.teacher_temp(double(epoch)), .teacher_momentum = now.momentum(double(step))});
    if (scores) outcome.add(relative_error(result.teacher_scores, read("teacher" + suffix)), kForward.of(dtype));

    std::map<std::string, double> norms;
    for (size_t i = 0; const ag::Parameter* p : dino.student.parameters())
      norms[p->name()] = result.grad_norms.each[i++];
    std::vector<double> in_order;
    in_order.reserve(grad_order.size());
    for (const std::string& name : grad_order) in_order.push_back(norms.at(name));
    expect_row({result.loss}, losses.unsqueeze(1), step, kTrajectory.of(dtype));
    expect_row(dino.center.value().to_vector(), centers, step, kTrajectory.of(dtype));
    expect_row(in_order, grad_norms, step, kTrajectory.of(dtype));
    if (dtype == DType::f64) {  // in f32 the biases of keys are noise
      expect_row(norms_of(dino.student, order), student_norms, step, kTrajectory.f64);
      expect_row(norms_of(dino.teacher, order), teacher_norms, step, kTrajectory.f64);
    }
  }
  const std::string final = dtype == DType::f64 ? "_final_f64" : "_final";
  compare_parameters(outcome, dino.student, file, path + "/student" + final, dtype, a("lr"));
  compare_parameters(outcome, dino.teacher, file, path + "/teacher" + final, dtype, a("lr"));
  return outcome;
}

}  // namespace

std::vector<CaseKind> dino_kinds() {
  return {{"dino_loss", run_loss}, {"norm_last_layer", run_trajectory}, {"free_last_layer", run_trajectory}};
}

}  // namespace vitrail::reference
