#include "vitrail/recipes/methods/dinov2_step.h"

#include "vitrail/autograd/ops.h"
#include "vitrail/core/error.h"
#include "vitrail/nn/losses/ibot_loss.h"
#include "vitrail/nn/losses/koleo.h"
#include "vitrail/nn/losses/sinkhorn.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/optim/param_groups.h"
#include "vitrail/recipes/build/freeze.h"

#include <algorithm>
#include <array>
#include <utility>

namespace vitrail::recipes {
namespace {

std::vector<optim::ParamGroup> dinov2_groups(nn::Dinov2Network& student, const Dinov2Options& o) {
  const auto factor = [&](const ag::Parameter& p) {
    return p.name().find("patch_embed") != std::string::npos ? o.patch_embed_lr : 1;
  };
  return optim::layer_decay_groups(student.parameters(), o.layer_decay, optim::dino_decay(), factor);
}

/// The scores of the masked patches [M, K]; patches [B, N, C].
ag::Var masked_scores(nn::Dinov2Network& network, const ag::Var& patches, const Tensor& rows) {
  const ag::Var flat = reshape(patches, {patches.size(0) * patches.size(1), patches.size(2)});
  return network.patch_head()(index_select(flat, 0, rows));
}

}  // namespace

Dinov2Step::Dinov2Step(const nn::Scope& scope, const nn::MakeBackbone& make_student,
                       const nn::MakeBackbone& make_teacher, const MakeOptimizer& make_optimizer,
                       const Dinov2Options& o, std::unique_ptr<nn::Dinov2Network> frozen)
    : options(o),
      student(scope, make_student, o.head, o.ibot_head),
      teacher(scope.without_values(), make_teacher, o.head, o.ibot_head),
      frozen_teacher(std::move(frozen)),
      center(o.head.out_dim, o.center_momentum, scope.dtype()),
      ibot_center((o.ibot_head ? *o.ibot_head : o.head).out_dim, o.center_momentum, scope.dtype()),
      backbone_(trained_parameters(*student.backbone)),
      optimizer_(make_optimizer(dinov2_groups(student, o))) {
  nn::copy_state(teacher, student);
  teacher.freeze();
}

Tensor Dinov2Step::targets_of(const nn::DinoCenter& running, const Tensor& scores, double temp) const {
  return options.centering == Dinov2Options::Centering::centering ? running.targets(scores, temp)
                                                                  : nn::sinkhorn_targets(scores, temp);
}

Dinov2Step::Result Dinov2Step::operator()(std::span<const Tensor> crops, const Tensor& masks, const At& at,
                                          const DinoAt& now) {
  const int64_t locals = options.views - kGlobalViews;
  const int64_t sizes = locals > 0 ? 2 : 1;
  check<ShapeError>(int64_t(crops.size()) == sizes && crops[0].size(0) % kGlobalViews == 0 &&
                        (sizes == 1 || crops[1].size(0) * kGlobalViews == crops[0].size(0) * locals),
                    "dinov2", "needs {} global and {} local views of each image", kGlobalViews, locals);
  const auto parameters = student.parameters();
  optim::Update update(parameters, *optimizer_, at, {.max_norm = options.clip_grad, .clip_by = optim::ClipBy::network});
  const bool heads_alone = at.epoch < options.head_epochs;
  for (ag::Parameter* p : backbone_) p->set_requires_grad(!heads_alone);
  student.train();
  hold_frozen_norms(student);
  nn::Dinov2Network& guide = frozen_teacher ? *frozen_teacher : teacher;  // its outputs are the targets
  guide.eval();
  const nn::MaskedPatches masked = nn::masked_patches(masks);
  const bool any_masked = masked.rows.size(0) > 0;

  Result result;
  Tensor patch_scores, patch_targets;  // [M, K]
  {
    // There is no tape yet, so the teacher is not recorded.
    const nn::Dinov2Network::Features seen = guide(crops[0]);
    result.teacher_features = seen.classes.value();
    result.teacher_scores = guide.dino_head(seen.classes).value();
    result.teacher_probs = targets_of(center, result.teacher_scores, now.teacher_temp);
    if (any_masked) {
      patch_scores = masked_scores(guide, seen.patches, masked.rows).value();
      patch_targets = targets_of(ibot_center, patch_scores, now.teacher_temp);
    }
  }
  const auto teacher_parameters = teacher.parameters();
  for (ag::Parameter* p : teacher_parameters) p->drop_converted();

  Losses& losses = result.losses;
  std::array<double, kGlobalViews> koleo{};
  losses.total = update.backward([&] {
    // DINOv2 counts one pair of a local view even where there is none.
    const double global_pairs = kGlobalViews * (kGlobalViews - 1);
    const double local_pairs = double(std::max<int64_t>(1, kGlobalViews * locals)), pairs = global_pairs + local_pairs;
    std::optional<ag::Var> total;
    const auto add = [&](double& number, const ag::Var& term) {
      number = term.value().item();
      total = total ? *total + term : term;
    };
    const nn::Dinov2Network::Features seen = student(crops[0], frozen_teacher ? Tensor() : masks);
    // All class tokens in one call: the prototypes are large, and each call reads them.
    ag::Var classes = seen.classes;
    if (locals > 0) classes = ag::concat({classes, student.backbone->features(crops[1])}, 0);
    const ag::Var scores = student.dino_head(classes);
    const int64_t of_globals = seen.classes.size(0);
    const ag::Var global = nn::dino_loss(slice(scores, 0, 0, of_globals), result.teacher_probs, kGlobalViews,
                                         kGlobalViews, options.student_temp);
    add(losses.dino_global, global * (global_pairs / pairs));
    if (locals > 0) {
      const ag::Var local = nn::dino_local_loss(slice(scores, 0, of_globals, scores.size(0)), result.teacher_probs,
                                                locals, kGlobalViews, options.student_temp);
      add(losses.dino_local, local * (local_pairs / pairs));
    }
    if (options.koleo_weight > 0) {
      const int64_t batch = seen.classes.size(0) / kGlobalViews;
      for (int64_t view = 0; view < kGlobalViews; ++view)
        add(koleo[size_t(view)],
            nn::koleo_loss(slice(seen.classes, 0, view * batch, (view + 1) * batch), options.koleo_group) *
                options.koleo_weight);
    }
    if (any_masked && options.ibot_weight > 0) {
      const ag::Var of_patches = masked_scores(student, seen.patches, masked.rows);
      add(losses.ibot, nn::ibot_loss(of_patches, patch_targets, masked, options.student_temp) * options.ibot_weight);
    }
    return *total;
  });
  losses.koleo = koleo[0] + koleo[1];
  result.grad_norms = update.clip();
  for (nn::DinoHead* head : student.modules<nn::DinoHead>())
    for (ag::Parameter* p : head->last_layer.parameters())
      if (p->requires_grad()) optimizer_->set_lr_scale(*p, at.epoch < options.freeze_last_layer ? 0 : 1);
  update.step();

  average_student(teacher_parameters, parameters, student.backbone->parameters().size(), now.teacher_momentum);
  if (options.centering == Dinov2Options::Centering::centering) {
    center.update(result.teacher_scores);
    if (any_masked) ibot_center.update(patch_scores);
  }
  return result;
}

TensorMap Dinov2Step::state() const {
  TensorMap map;
  add_map(map, "student", nn::state(student));
  add_map(map, "teacher", nn::state(teacher));
  add_map(map, "optimizer", optimizer_->state());
  map.insert_or_assign("center", center.value());
  map.insert_or_assign("ibot_center", ibot_center.value());
  return map;
}

void Dinov2Step::set_centers(const TensorMap& map) {
  for (const char* name : {"center", "ibot_center"})
    check<IoError>(map.contains(name), "checkpoint", "recipe/{} is missing", name);
  center.set(map.at("center"));
  ibot_center.set(map.at("ibot_center"));
}

void Dinov2Step::load_state(const TensorMap& map) {
  set_centers(map);
  nn::load_state(student, sub_map(map, "student"), "checkpoint");
  nn::load_state(teacher, sub_map(map, "teacher"), "checkpoint");
  optimizer_->load_state(sub_map(map, "optimizer"));
}

}  // namespace vitrail::recipes
