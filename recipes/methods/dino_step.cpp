#include "vitrail/recipes/methods/dino_step.h"

#include "vitrail/core/error.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/optim/ema.h"
#include "vitrail/optim/param_groups.h"
#include "vitrail/recipes/build/freeze.h"

namespace vitrail::recipes {
namespace {

std::vector<optim::ParamGroup> groups_of(nn::DinoNetwork& student, const DinoOptions& o) {
  const auto parameters = student.parameters();
  if (o.layer_decay == 1) return optim::decay_groups(parameters, optim::dino_decay());
  return optim::layer_decay_groups(parameters, o.layer_decay, optim::dino_decay());
}

}  // namespace

void average_student(std::span<ag::Parameter* const> teacher, std::span<ag::Parameter* const> student, size_t backbone,
                     double momentum) {
  std::vector<ag::Parameter*> averages, models;
  for (size_t i = 0; i < student.size(); ++i) {
    if (i < backbone && !student[i]->requires_grad()) continue;
    averages.push_back(teacher[i]);
    models.push_back(student[i]);
  }
  optim::ema_update(averages, models, momentum);
}

DinoStep::DinoStep(const nn::Scope& scope, const nn::MakeBackbone& make_student, const nn::MakeBackbone& make_teacher,
                   const MakeOptimizer& make_optimizer, const DinoOptions& o)
    : options(o),
      student(scope, make_student, o.head),
      teacher(scope.without_values(), make_teacher, o.head),
      center(o.head.out_dim, o.center_momentum, scope.dtype()),
      backbone_(trained_parameters(*student.backbone)),
      optimizer_(make_optimizer(groups_of(student, o))) {
  nn::copy_state(teacher, student);
  teacher.freeze();
}

DinoStep::Result DinoStep::operator()(std::span<const Tensor> crops, const At& at, const DinoAt& now) {
  const auto parameters = student.parameters();
  // First of all: it drops the last step's gradients, so that memory does not hold them beside the activations.
  optim::Update update(parameters, *optimizer_, at,
                       {.max_norm = options.clip_grad, .clip_by = optim::ClipBy::parameter});
  const bool heads_alone = at.epoch < options.head_epochs;
  for (ag::Parameter* p : backbone_) p->set_requires_grad(!heads_alone);
  student.train();
  hold_frozen_norms(student);
  teacher.train();  // as in the reference code: BatchNorm uses the statistics of its own batch
  if (heads_alone) hold_frozen_norms(*teacher.backbone);
  Result result;
  // There is no tape yet, so the teacher is not recorded.
  result.teacher_features = teacher.features(crops.first(1)).value();              // [2 B, D]
  result.teacher_scores = teacher.head(result.teacher_features).value();           // [2 B, K]
  result.teacher_probs = center.targets(result.teacher_scores, now.teacher_temp);  // [2 B, K]
  // The average below changes the teacher's weights, so their bf16 copies only take memory from here on.
  const auto teacher_parameters = teacher.parameters();
  for (ag::Parameter* p : teacher_parameters) p->drop_converted();
  result.loss = update.backward([&] {
    return nn::dino_loss(student(crops), result.teacher_probs, options.views, kGlobalViews,
                         options.student_temp);  // of scores [V B, K]
  });
  result.grad_norms = update.clip();
  // The optimizer skips a parameter without a gradient: no decay, no moments, no step counted.
  if (at.epoch < options.freeze_last_layer) student.head.last_layer.zero_grad();
  update.step();

  average_student(teacher_parameters, parameters, student.backbone->parameters().size(), now.teacher_momentum);
  center.update(result.teacher_scores);
  return result;
}

TensorMap DinoStep::state() const {
  TensorMap map;
  add_map(map, "student", nn::state(student));
  add_map(map, "teacher", nn::state(teacher));
  add_map(map, "optimizer", optimizer_->state());
  map.insert_or_assign("center", center.value());
  return map;
}

void DinoStep::set_centers(const TensorMap& map) {
  const auto found = map.find("center");
  check<IoError>(found != map.end(), "checkpoint", "recipe/center is missing");
  center.set(found->second);
}

void DinoStep::load_state(const TensorMap& map) {
  set_centers(map);
  nn::load_state(student, sub_map(map, "student"), "checkpoint");
  nn::load_state(teacher, sub_map(map, "teacher"), "checkpoint");
  optimizer_->load_state(sub_map(map, "optimizer"));
}

}  // namespace vitrail::recipes
