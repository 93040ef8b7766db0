#include "tools/reference/attributes.h"
#include "tools/reference/error_measure.h"
#include "tools/reference/reference_case.h"
#include "vitrail/core/error.h"
#include "vitrail/optim/adamw.h"
#include "vitrail/optim/clip_grad.h"
#include "vitrail/optim/ema.h"
#include "vitrail/optim/lamb.h"
#include "vitrail/optim/param_groups.h"
#include "vitrail/optim/schedule.h"
#include "vitrail/optim/sgd.h"

#include <cmath>
#include <memory>
#include <string_view>

namespace vitrail::reference {

namespace {

using hdf5::Reader;

// ---- schedules ------------------------------------------------------------------------------------------------------

using Schedule = std::function<double(double)>;

Schedule dino_schedule(const Attributes& a, std::string_view) {
  const double per_epoch = a("niter_per_ep");
  return optim::CosineSchedule{.base = a("base_value"),
                               .final = a("final_value"),
                               .steps = a("epochs") * per_epoch,
                               .warmup = {a("warmup_epochs") * per_epoch, a("start_warmup_value"), optim::Ends::both}};
}

Schedule dinov2_schedule(const Attributes& a, std::string_view) {
  return optim::CosineSchedule{.base = a("base_value"),
                               .final = a("final_value"),
                               .steps = a("total_iters"),
                               .warmup = {a("warmup_iters"), a("start_warmup_value"), optim::Ends::both},
                               .freeze_steps = a("freeze_iters")};
}

Schedule timm_cosine(const Attributes& a, std::string_view) {
  return optim::CyclicCosineSchedule{.base = a("base_lr"),
                                     .min = a("lr_min"),
                                     .cycle_steps = a("t_initial"),
                                     .cycle_mul = a("cycle_mul", 1),
                                     .cycle_decay = a("cycle_decay", 1),
                                     .cycle_limit = int64_t(a("cycle_limit", 1)),
                                     .k_decay = a("k_decay", 1),
                                     .warmup_prefix = a("warmup_prefix", 0) != 0,
                                     .warmup = {a("warmup_t"), a("warmup_lr_init"), optim::Ends::first}};
}

Schedule open_clip_schedule(const Attributes& a, std::string_view name) {
  const optim::Warmup warmup{a("warmup_length"), 0, optim::Ends::last};
  if (name.ends_with("cosine_lr"))
    return optim::CosineSchedule{.base = a("base_lr"), .steps = a("steps"), .warmup = warmup};
  return optim::PolynomialSchedule{.base = a("base_lr"),
                                   .final = a("cooldown_end_lr", 0),
                                   .steps = a("steps"),
                                   .decay_steps = a("cooldown_steps", 0),
                                   .power = a("cooldown_power", 1),
                                   .warmup = warmup};
}

/// The file's values at t = 0, 1, ...
template <Schedule make(const Attributes&, std::string_view name)>
Outcome run_schedule(const Reader& file, const std::string& path, DType) {
  const Schedule schedule = make(Attributes(file, path), path);
  Outcome outcome;
  double t = 0;
  for (double expected : file.read(path).to_vector()) {
    const double error = std::abs(schedule(t++) - expected);
    outcome.add(error == 0 ? 0 : error / std::abs(expected), kSchedule.f64);
  }
  return outcome;
}

// ---- optimizers -----------------------------------------------------------------------------------------------------

/// The parameters of a case, in the model's order if the group of cases names it.
class Parameters {
 public:
  Parameters(const Reader& file, const std::string& path, DType dtype) {
    const TensorMap values = read_group(file, path + "/params", dtype);
    const auto order = Attributes(file, path.substr(0, path.rfind('/'))).lines("param_order");
    for (const std::string& name : order.empty() ? file.names(path + "/params") : order) {
      owned_.push_back(std::make_unique<ag::Parameter>(name, values.at(name)));
      pointers_.push_back(owned_.back().get());
    }
  }
  const std::vector<ag::Parameter*>& all() const { return pointers_; }

 private:
  std::vector<std::unique_ptr<ag::Parameter>> owned_;
  std::vector<ag::Parameter*> pointers_;
};

std::unique_ptr<optim::Optimizer> make_optimizer(std::string_view name, const Attributes& a,
                                                 const std::vector<optim::ParamGroup>& groups) {
  const auto is = [&](std::string_view prefix) { return name.starts_with(prefix); };
  if (is("adam"))
    return std::make_unique<optim::AdamW>(groups, optim::AdamWOptions{.beta1 = a("beta1"),
                                                                      .beta2 = a("beta2"),
                                                                      .eps = a("eps"),
                                                                      .amsgrad = a("amsgrad", 0) != 0,
                                                                      .decoupled = is("adamw")});
  if (is("sgd"))
    return std::make_unique<optim::Sgd>(
        groups, optim::SgdOptions{
                    .momentum = a("momentum"), .dampening = a("dampening", 0), .nesterov = a("nesterov", 0) != 0});
  if (is("lars"))
    return std::make_unique<optim::Lars>(
        groups,
        is("lars_dino")
            ? optim::LarsOptions{.momentum = a("momentum"), .trust_coeff = a("eta"), .rule = optim::LarsRule::dino}
            : optim::LarsOptions{.momentum = a("momentum"), .trust_coeff = a("trust_coeff"), .eps = a("eps")});
  check<IoError>(is("lamb"), "reference", "'{}' begins with no optimizer's name: adam, adamw, sgd, lars, lamb", name);
  return std::make_unique<optim::Lamb>(
      groups, optim::LambOptions{
                  .beta1 = a("beta1"), .beta2 = a("beta2"), .eps = a("eps"), .max_grad_norm = a("max_grad_norm", 0)});
}

/// The parameters after each step with the gradients of the file.
Outcome run_optimizer(const Reader& file, const std::string& path, DType dtype) {
  const Attributes a(file, path);
  const Parameters parameters(file, path, dtype);
  const auto optimizer = make_optimizer(path.substr(path.rfind('/') + 1), a, optim::decay_groups(parameters.all()));
  const TensorMap grads = read_group(file, path + (dtype == DType::f64 ? "/grads_f64" : "/grads"), dtype);
  const std::string frozen = a.text("frozen_parameter");
  const std::string rates = path + "/lr";
  const std::vector<double> lr = file.contains(rates) ? file.read(rates).to_vector() : std::vector{a("base_lr")};

  TensorMap got;
  for (const auto& [name, g] : grads) got[name] = Tensor::empty(g.shape(), dtype);
  const int64_t steps = grads.begin()->second.size(0);
  for (int64_t step = 0; step < steps; ++step) {
    for (ag::Parameter* p : parameters.all())
      if (p->name() != frozen || double(step) >= a("frozen_steps"))
        p->grad() = grads.at(p->name()).select(0, step).clone();
    optimizer->step(lr[std::min(size_t(step), lr.size() - 1)], a("weight_decay"));
    optimizer->zero_grad();
    for (ag::Parameter* p : parameters.all()) got[p->name()].select(0, step).copy_(p->value());
  }
  Outcome outcome;
  outcome.compare(got, file, path + "/outputs", dtype, kForward);
  return outcome;
}

// ---- clipping and averages ------------------------------------------------------------------------------------------

Outcome run_clip(const Reader& file, const std::string& path, DType dtype) {
  const Attributes a(file, path);
  const Parameters parameters(file, path, dtype);
  const TensorMap grads = read_group(file, path + "/inputs", dtype);
  for (ag::Parameter* p : parameters.all()) p->grad() = grads.at(p->name()).clone();

  Outcome outcome;
  const auto expect_norms = [&](const std::string& name, const std::vector<double>& norms) {
    const Tensor expected = file.read(path + "/" + name + (dtype == DType::f64 ? "_f64" : ""));
    outcome.add(relative_error(tensor(norms, expected.shape()), expected), kForward.of(dtype));
  };
  const std::string kind = path.substr(path.rfind('/') + 1);
  if (kind.starts_with("global")) {
    expect_norms("total_norm", {optim::clip_grad_norm(parameters.all(), a("clip"))});
  } else if (kind.starts_with("dino")) {
    expect_norms("norms", optim::clip_each(parameters.all(), a("clip")));
  } else {
    check<IoError>(kind.starts_with("agc"), "reference", "'{}' begins with no kind of clipping: global, dino, agc",
                   kind);
    optim::clip_adaptive(parameters.all(), a("clip"));
  }
  TensorMap got;
  for (ag::Parameter* p : parameters.all()) got[p->name()] = p->grad();
  outcome.compare(got, file, path + "/outputs", dtype, kForward);
  return outcome;
}

Outcome run_ema(const Reader& file, const std::string& path, DType dtype) {
  const std::vector<double> decay = file.read(path + "/decay").to_vector();
  const TensorMap models = read_group(file, path + "/inputs", dtype);
  TensorMap averages = read_group(file, path + "/params", dtype);
  TensorMap got;
  for (const auto& [name, model] : models) {
    got[name] = Tensor::empty(model.shape(), dtype);
    for (size_t step = 0; step < decay.size(); ++step) {
      optim::ema_update(averages[name], model.select(0, int64_t(step)), decay[step]);
      got[name].select(0, int64_t(step)).copy_(averages[name]);
    }
  }
  Outcome outcome;
  outcome.compare(got, file, path + "/outputs", dtype, kForward);
  return outcome;
}

}  // namespace

std::vector<CaseKind> optim_kinds() {
  return {{"schedules/dino_cosine_scheduler/", run_schedule<dino_schedule>},
          {"schedules/dinov2_cosine_scheduler/", run_schedule<dinov2_schedule>},
          {"schedules/timm_cosine_lr/", run_schedule<timm_cosine>},
          {"schedules/open_clip/", run_schedule<open_clip_schedule>},
          {"optimizers/", run_optimizer},
          {"clip/", run_clip},
          {"ema/", run_ema}};
}

}  // namespace vitrail::reference
