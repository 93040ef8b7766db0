#include "tools/reference/attributes.h"
#include "tools/reference/error_measure.h"
#include "tools/reference/trajectory.h"
#include "vitrail/autograd/ops.h"
#include "vitrail/autograd/tape.h"
#include "vitrail/core/error.h"
#include "vitrail/nn/losses/distillation.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/optim/adamw.h"
#include "vitrail/optim/param_groups.h"

#include <algorithm>

namespace vitrail::reference {

namespace {

using ag::Var;
using hdf5::Reader;

/// DeiT's DistillationLoss on soft targets, with its divisor.
Var distillation_loss(const Var& logits, const Var& logits_dist, const TensorMap& inputs, const Attributes& a) {
  Var base = ag::soft_cross_entropy(logits, inputs.at("targets"));
  const std::string kind = a.text("distillation_type");
  if (kind == "none") return base;
  check<IoError>(kind == "soft" || kind == "hard", "reference", "distillation_type '{}' is not none, soft or hard",
                 kind);
  const Tensor& teacher = inputs.at("teacher_logits");
  const Var distilled = kind == "hard" ? nn::hard_distillation(logits_dist, teacher)
                                       : nn::soft_distillation(logits_dist, teacher, a("tau"), nn::KlNorm::elements);
  return base * (1 - a("alpha")) + distilled * a("alpha");
}

/// losses.h5: the loss alone.
Outcome run_loss(const Reader& file, const std::string& path, DType dtype) {
  const TensorMap inputs = read_group(file, path + "/inputs", dtype);
  ag::Tape tape;
  const Var logits = tape.input(inputs.at("logits")), logits_dist = tape.input(inputs.at("logits_dist"));
  const Var loss = distillation_loss(logits, logits_dist, inputs, Attributes(file, path));
  tape.backward(loss);
  TensorMap grads = {{"logits", tape.grad(logits)}};
  if (tape.grad(logits_dist).defined()) grads["logits_dist"] = tape.grad(logits_dist);
  Outcome outcome;
  outcome.compare({{"loss", loss.value()}}, file, path + "/outputs", dtype, kForward);
  outcome.compare(grads, file, path + "/grads", dtype, kGradients);
  return outcome;
}

/// The case with the attributes of the model, which all cases of a file share.
std::string case_with_sizes(const Reader& file, const std::string& path) {
  if (file.has_attribute(path, "embed_dim")) return path;
  for (const std::string& other : file.names(""))
    if (file.has_attribute(other, "embed_dim")) return other;
  fail<IoError>("reference", "{}: no case of the file has the attribute embed_dim", path);
}

nn::VitConfig config_of(const Reader& file, const std::string& path) {
  const Attributes a(file, case_with_sizes(file, path));
  nn::VitConfig c;
  c.img_size = a.integer("img_size", 224);
  c.patch_size = a.integer("patch_size", 16);
  c.num_classes = a.integer("num_classes", 1000);
  c.embed_dim = a.integer("embed_dim", 192);
  c.depth = a.integer("depth", 12);
  c.num_heads = a.integer("num_heads", 3);
  c.mlp_ratio = a("mlp_ratio", 4);
  c.ln_eps = a("layer_norm_eps", 1e-6);
  c.qkv_bias = a("qkv_bias", 1) != 0;
  c.distilled = true;
  return c;
}

/// One forward and backward pass, and the logits in evaluation mode.
Outcome run_distilled(const Reader& file, const std::string& path, DType dtype) {
  const Attributes a(file, path);
  const TensorMap inputs = read_group(file, path + "/inputs", dtype);
  nn::VisionTransformer model(nn::Scope(0, dtype), config_of(file, path));
  nn::load_state(model, read_group(file, path + "/params", dtype), path);

  ag::Tape tape;
  const std::vector<Var> heads = model.heads(model.features(inputs.at("images")));
  const Var loss = distillation_loss(heads.at(0), heads.at(1), inputs, a);
  tape.backward(loss);
  TensorMap grads;
  for (const ag::Parameter* p : model.parameters())
    if (p->grad().defined()) grads[p->name()] = p->grad();
  model.eval();
  const TensorMap outputs = {{"logits", heads[0].value()},
                             {"logits_dist", heads[1].value()},
                             {"loss", loss.value()},
                             {"eval_logits", model.logits(inputs.at("images")).value()}};
  Outcome outcome;
  outcome.compare(outputs, file, path + "/outputs", dtype, kForward);
  outcome.compare(grads, file, path + "/grads", dtype, kGradients);
  return outcome;
}

/// A few steps of AdamW on one batch.
Outcome run_steps(const Reader& file, const std::string& path, DType dtype) {
  const Attributes a(file, path);
  const TensorMap inputs = read_group(file, path + "/inputs", dtype);
  nn::VisionTransformer model(nn::Scope(0, dtype), config_of(file, path));
  nn::load_state(model, read_group(file, path + "/params", dtype), path);
  const auto not_decayed = a.lines("no_decay");
  const bool keeps_token = std::find(not_decayed.begin(), not_decayed.end(), "dist_token") != not_decayed.end();
  optim::AdamW optimizer(keeps_token ? optim::decay_groups(model.parameters())
                                     : optim::decay_groups(model.parameters(), optim::deit_decay()),
                         {.beta1 = a("beta1"), .beta2 = a("beta2"), .eps = a("eps")});

  std::vector<double> losses;
  for (int64_t step = 0; step < a.integer("steps", 1); ++step) {
    ag::Tape tape;
    const std::vector<Var> heads = model.heads(model.features(inputs.at("images")));
    const Var loss = distillation_loss(heads.at(0), heads.at(1), inputs, a);
    tape.backward(loss);
    losses.push_back(loss.value().item());
    optimizer.step(a("lr"), a("weight_decay"));
    optimizer.zero_grad();
  }
  const std::string suffix = dtype == DType::f64 ? "_f64" : "";
  Outcome outcome;
  outcome.add(max_difference(tensor(losses, {int64_t(losses.size())}), file.read(path + "/losses" + suffix)),
              kTrajectory.of(dtype));
  compare_parameters(outcome, model, file, path + "/outputs" + suffix, dtype, a("lr"));
  return outcome;
}

}  // namespace

std::vector<CaseKind> deit_kinds() {
  return {{"deit_", run_loss}, {"distilled_", run_distilled}, {"steps_", run_steps}};
}

}  // namespace vitrail::reference
