#include "tools/reference/attributes.h"
#include "tools/reference/error_measure.h"
#include "tools/reference/reference_case.h"
#include "vitrail/core/error.h"
#include "vitrail/nn/losses/contrastive.h"
#include "vitrail/nn/models/clip.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/weights/layout.h"
#include "vitrail/optim/adamw.h"
#include "vitrail/optim/clip_grad.h"
#include "vitrail/optim/param_groups.h"
#include "vitrail/optim/schedule.h"

#include <algorithm>
#include <cmath>

namespace vitrail::reference {

namespace {

using ag::Var;
using hdf5::Reader;

// ---- losses of pairs ------------------------------------------------------------------------------------------------

using PairLoss = Var (*)(const Var& logits);

/// A loss and its gradient with respect to features, temperature and, for SigLIP, bias.
template <PairLoss loss_of>
Outcome run_pair_loss(const Reader& file, const std::string& path, DType dtype) {
  ag::Tape tape;
  std::map<std::string, Var> inputs;
  for (const auto& [name, t] : read_group(file, path + "/inputs", dtype)) inputs[name] = tape.input(t);
  const Var logits = nn::pair_logits(inputs.at("image_features"), inputs.at("text_features"), inputs.at("log_scale"),
                                     inputs["logit_bias"]);
  const Var loss = loss_of(logits);
  tape.backward(loss);
  TensorMap grads;
  for (const std::string& name : file.names(path + "/grads")) grads[name] = tape.grad(inputs.at(name));
  Outcome outcome;
  outcome.compare({{"loss", loss.value()}, {"logits_per_image", logits.value()}}, file, path + "/outputs", dtype,
                  kForward);
  outcome.compare(grads, file, path + "/grads", dtype, kGradients);
  return outcome;
}

// ---- trajectories ---------------------------------------------------------------------------------------------------

constexpr Tolerance kTrajectory{2e-5, 1e-9};       // absolute: losses, logit_scale
constexpr Tolerance kClampTrajectory{2e-4, 1e-9};  // the same where the temperature starts above its limit
constexpr double kFinalF32 = 2e-6;                 // absolute, for 99.9 % of the final parameters in f32

nn::ClipConfig config_of(const Attributes& a, const TensorMap& params) {
  const ag::Gelu gelu = a.text("activation") == "QuickGELU" ? ag::Gelu::quick : ag::Gelu::erf;
  const double eps = a("layer_norm_eps", 1e-5);
  nn::ClipConfig c;
  c.vision = {.img_size = a.integer("image_resolution", 0),
              .patch_size = a.integer("vision_patch_size", 0),
              .num_classes = a.integer("embed_dim", 0),
              .embed_dim = a.integer("vision_width", 0),
              .depth = a.integer("vision_layers", 0),
              .num_heads = a.integer("vision_heads", 0),
              .gelu = gelu,
              .ln_eps = eps,
              .pre_norm = true,
              .head_bias = false};
  c.text = {.vocab_size = a.integer("vocab_size", 0),
            .context_length = a.integer("context_length", 0),
            .embed_dim = a.integer("transformer_width", 0),
            .depth = a.integer("transformer_layers", 0),
            .num_heads = a.integer("transformer_heads", 0),
            .out_dim = a.integer("embed_dim", 0),
            .gelu = gelu,
            .ln_eps = eps};
  if (params.contains("logit_bias")) c.init_logit_bias = 0;
  return c;
}

/// A bias added to all keys cancels in the softmax. In f32 its gradient is rounding noise, and so are its Adam
/// steps.
bool has_key_bias(const std::string& name) { return name.ends_with("in_proj_bias"); }

/// A training run as in open_clip's loop, from the parameters and batches of a case.
class Training {
 public:
  Training(const Reader& file, const std::string& path, DType dtype)
      : path_(path),
        a_(file, path),
        params_(nn::from_layout(nn::layout_named("open_clip"), read_group(file, path + "/params", dtype)).weights),
        model_(nn::Scope(0, dtype), config_of(a_, params_)),
        images_(read_group(file, path + "/inputs", dtype).at("images")),
        tokens_(file.read(path + "/inputs/tokens")),
        optimizer_(groups(), {.beta1 = a_("beta1", 0.9), .beta2 = a_("beta2", 0.98), .eps = a_("eps", 1e-6)}) {
    restart();
  }

  nn::Clip& model() { return model_; }
  int64_t steps() const { return a_.integer("steps", images_.size(0) / accum()); }
  int64_t accum() const { return a_.integer("accum_freq", 1); }
  Tensor images(int64_t batch) const { return images_.select(0, batch); }
  Tensor tokens(int64_t batch) const { return tokens_.select(0, batch); }
  void restart() { nn::load_state(model_, params_, path_); }

  double lr(int64_t step) const {
    return optim::CosineSchedule{.base = a_("base_lr"),
                                 .steps = double(steps()),
                                 .warmup = {a_("warmup_steps", 0), 0, optim::Ends::last}}(double(step));
  }

  /// Forward and backward pass of one step. Leaves the gradients in the model and returns the loss.
  double sweep(int64_t step) {
    if (accum() == 1) {
      ag::Tape tape;
      const Var loss = nn::contrastive_loss(model_(Var(images(step)), tokens(step)));
      tape.backward(loss);
      return loss.value().item();
    }
    const int64_t first = step * accum();
    const Tensor loss = nn::cached_backward(
        {[&](int64_t i) { return model_.encode_image(images(first + i)); },
         [&](int64_t i) { return model_.encode_text(tokens(first + i)); }},
        accum(), [&](const std::vector<Var>& f) { return nn::contrastive_loss(model_.logits(f[0], f[1])); });
    // open_clip runs backward through the whole loss once per slice, so it adds the temperature's gradient each time.
    core::scale_(model_.logit_scale.grad(), double(accum()));
    return loss.item();
  }

  /// Returns the norm of the gradients.
  double update(int64_t step, double clip_norm) {
    const double norm = optim::clip_grad_norm(model_.parameters(), clip_norm);
    optimizer_.step(lr(step), a_("weight_decay"));
    optimizer_.zero_grad();
    model_.clamp_logit_scale();
    return norm;
  }

  /// Gradients or values, under the names in the file.
  TensorMap gradients() const {
    TensorMap map;
    for (const ag::Parameter* p : model_.parameters())
      if (p->grad().defined()) map[p->name()] = p->grad();
    return nn::to_layout(nn::layout_named("open_clip"), map).weights;
  }
  TensorMap values() const { return nn::to_layout(nn::layout_named("open_clip"), nn::state(model_)).weights; }

 private:
  /// The weight decay rule that the file names: OpenAI's model decays its position table, open_clip's does not.
  std::vector<optim::ParamGroup> groups() {
    const std::vector<std::string> exempt = a_.lines("no_decay");
    const bool positions = std::find(exempt.begin(), exempt.end(), "positional_embedding") != exempt.end();
    if (positions) return optim::decay_groups(model_.parameters());
    return optim::decay_groups(model_.parameters(), {.tables = true, .except = {"cls_token"}});
  }

  std::string path_;
  Attributes a_;
  TensorMap params_;
  nn::Clip model_;
  Tensor images_, tokens_;
  optim::AdamW optimizer_;
};

/// The name of the dataset to compare with: the f32 one or its f64 twin.
std::string expected_path(const Reader& file, const std::string& path, const std::string& group,
                          const std::string& name, DType dtype) {
  const std::string f64 = path + "/" + group + "_f64/" + name;
  return dtype == DType::f64 && file.contains(f64) ? f64 : path + "/" + group + "/" + name;
}

void add_absolute(Outcome& outcome, const Tensor& got, const Tensor& expected, double tolerance) {
  outcome.add(max_difference(got, expected), tolerance);
}

/// The first batch, before any step.
void check_first_step(Training& run, const Reader& file, const std::string& path, DType dtype, Outcome& outcome) {
  ag::Tape tape;
  const Var image = run.model().encode_image(run.images(0)), text = run.model().encode_text(run.tokens(0));
  const Var logits = run.model().logits(image, text), loss = nn::contrastive_loss(logits);
  tape.backward(loss);
  TensorMap got{{"logits_per_image", logits.value()},
                {"logits_per_text", logits.value().transpose(0, 1)},
                {"loss", loss.value()}};
  for (const auto& [name, features] : {std::pair{"image_features", image}, {"text_features", text}}) {
    const Tensor lengths = core::l2_normalize(file.read(path + "/step0/outputs/" + name)).norm;
    const bool normalised = max_difference(lengths, ones(lengths.shape())) < 1e-4;  // some implementations give these
    got[name] = normalised ? core::l2_normalize(features.value()).y : features.value();
  }
  outcome.compare(got, file, path + "/step0/outputs", dtype, kForward);
  outcome.compare(run.gradients(), file, path + "/step0/grads", dtype, kGradients);
  run.model().zero_grad();
}

/// Losses and temperatures of all steps, and the parameters after the last.
void check_steps(Training& run, const Reader& file, const std::string& path, DType dtype, Outcome& outcome) {
  const std::vector<double> rates = file.read(path + "/lr").to_vector();
  std::vector<double> losses, scales;
  for (int64_t step = 0; step < run.steps(); ++step) {
    outcome.add(std::abs(run.lr(step) - rates.at(size_t(step))) / std::max(std::abs(rates[size_t(step)]), 1e-300),
                kSchedule.f64);
    losses.insert(losses.end(), size_t(run.accum()), run.sweep(step));  // open_clip's log has one a slice
    if (step == 0 && file.contains(path + "/outputs/logit_scale_grad_first_step")) {
      const Tensor first = run.model().logit_scale.grad();
      const Tensor expected = file.read(path + "/outputs/logit_scale_grad_first_step");
      outcome.add(relative_error(first, expected), kGradients.f32);  // theirs is f32
      outcome.add(relative_error(core::affine(first, 1 / double(run.accum())),
                                 file.read(path + "/outputs/logit_scale_grad_big_batch")),
                  kGradients.f32);
    }
    run.update(step, Attributes(file, path)("grad_clip_norm", 0));
    scales.push_back(run.model().logit_scale.value().item());
  }
  for (const auto& [name, values] : {std::pair{"losses", losses}, {"logit_scale", scales}}) {
    const Tensor expected = file.read(expected_path(file, path, "outputs", name, dtype));
    add_absolute(outcome, tensor(values, expected.shape()), expected, kTrajectory.of(dtype));
  }

  const TensorMap got = run.values();
  if (dtype == DType::f64) {
    for (const auto& [name, t] : read_group(file, path + "/final_f64", dtype))
      add_absolute(outcome, got.at(name), t, kTrajectory.f64);
    return;
  }
  std::vector<double> errors;
  for (const auto& [name, t] : read_group(file, path + "/final_f64", DType::f64)) {
    const auto mine = got.at(name).to_vector(), theirs = t.to_vector();
    const size_t third = has_key_bias(name) ? mine.size() / 3 : 0;
    check<IoError>(mine.size() == theirs.size(), "compare", "{}/final_f64/{} is {}, computed was {}", path, name,
                   t.shape(), got.at(name).shape());
    for (size_t i = 0; i < mine.size(); ++i)
      if (third == 0 || i / third != 1) errors.push_back(std::abs(mine[i] - theirs[i]));
  }
  std::sort(errors.begin(), errors.end());
  outcome.add(errors.at(size_t(0.999 * double(errors.size() - 1))), kFinalF32);
  outcome.add(errors.back(), Attributes(file, path)("base_lr"));
}

/// The same steps from a temperature beyond its limit, with clipped gradients.
void check_clamped_steps(const Reader& file, const std::string& path, DType dtype, Outcome& outcome) {
  constexpr double kScale = 4.7, kClipNorm = 0.5;
  Training run(file, path, dtype);
  run.model().logit_scale.update([&](Tensor& t) { t.fill_(kScale); });
  std::map<std::string, std::vector<double>> got;
  for (int64_t step = 0; step < run.steps(); ++step) {
    got["losses"].push_back(run.sweep(step));
    got["grad_norms"].push_back(run.update(step, kClipNorm));
    got["logit_scale"].push_back(run.model().logit_scale.value().item());
  }
  const auto compare = [&](const std::string& name, const std::vector<double>& values, double tolerance) {
    const Tensor expected = file.read(expected_path(file, path, "outputs_clamp", name, dtype));
    add_absolute(outcome, tensor(values, expected.shape()), expected, tolerance);
  };
  for (const char* name : {"losses", "logit_scale"}) compare(name, got[name], kClampTrajectory.of(dtype));
  const Tensor norms = file.read(expected_path(file, path, "outputs_clamp", "grad_norms", dtype));
  outcome.add(relative_error(tensor(got["grad_norms"], norms.shape()), norms),
              dtype == DType::f64 ? kTrajectory.f64 : kClampTrajectory.f32);

  const TensorMap values = run.values();
  std::vector<double> param_norms =
      file.read(expected_path(file, path, "outputs_clamp", "param_norms", dtype)).to_vector();
  const auto order = Attributes(file, path).lines("param_order");
  for (size_t i = 0; i < order.size(); ++i)
    if (dtype == DType::f64 || !has_key_bias(order[i])) param_norms.at(i) = core::norm(values.at(order[i]));
  compare("param_norms", param_norms, kClampTrajectory.of(dtype));
}

Outcome run_trajectory(const Reader& file, const std::string& path, DType dtype) {
  Outcome outcome;
  Training run(file, path, dtype);
  if (file.contains(path + "/step0")) check_first_step(run, file, path, dtype, outcome);
  check_steps(run, file, path, dtype, outcome);
  if (file.contains(path + "/outputs_clamp")) check_clamped_steps(file, path, dtype, outcome);
  return outcome;
}

}  // namespace

std::vector<CaseKind> clip_kinds() {
  return {{"clip", run_pair_loss<nn::contrastive_loss>},
          {"siglip", run_pair_loss<nn::sigmoid_loss>},
          {"openai", run_trajectory},
          {"open_clip", run_trajectory}};
}

}  // namespace vitrail::reference
