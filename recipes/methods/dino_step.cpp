#include "vitrail/recipes/methods/dino_step.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/norm.h"
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
  const std::vector<Tensor> whole(crops.begin(), crops.end());
  return (*this)(std::span(&whole, 1), at, now);
}

DinoStep::Result DinoStep::operator()(std::span<const std::vector<Tensor>> shards, const At& at, const DinoAt& now,
                                      const NumbersOf& numbers_of) {
  for (ag::Parameter* p : student.parameters()) p->drop_grad();  // first of all: they are as large as the activations
  const bool heads_alone = at.epoch < options.head_epochs;
  for (ag::Parameter* p : backbone_) p->set_requires_grad(!heads_alone);
  student.train();
  hold_frozen_norms(student);
  teacher.train();  // as in the reference code: BatchNorm uses the statistics of its own batch
  if (heads_alone) hold_frozen_norms(*teacher.backbone);
  const auto parameters = student.parameters(), teacher_parameters = teacher.parameters();
  Tensor mean_scores;  // [1, K], of the teacher
  std::vector<Tensor*> running = nn::running_averages(student);
  for (Tensor* average : nn::running_averages(teacher)) running.push_back(average);
  running.push_back(&mean_scores);
  optim::Update update(
      parameters, *optimizer_, at,
      {.max_norm = options.clip_grad, .clip_by = optim::ClipBy::parameter, .running = std::move(running)});
  Result result;
  size_t left = shards.size();
  const auto loss_of = [&](const std::vector<Tensor>& crops) -> optim::ShardLoss {
    {
      const ag::NoGrad no_grad;
      result.teacher_features = teacher.features(std::span(crops).first(1)).value();   // [2 B, D]
      result.teacher_scores = teacher.head(result.teacher_features).value();           // [2 B, K]
      result.teacher_probs = center.targets(result.teacher_scores, now.teacher_temp);  // [2 B, K]
      mean_scores = core::mean(result.teacher_scores, {0}, /*keepdim=*/true);
    }
    // The average below changes the teacher's weights, so their bf16 copies only take memory from here on.
    if (--left == 0)
      for (ag::Parameter* p : teacher_parameters) p->drop_converted();
    return {nn::dino_loss(student(crops), result.teacher_probs, options.views, kGlobalViews,
                          options.student_temp),  // of scores [V B, K]
            numbers_of ? numbers_of(result) : std::vector<double>()};
  };
  const std::vector<double> means = update.backward(shards, loss_of);
  result.loss = means[0];
  result.numbers.assign(means.begin() + 1, means.end());
  result.grad_norms = update.clip();
  // The optimizer skips a parameter without a gradient: no decay, no moments, no step counted.
  if (at.epoch < options.freeze_last_layer) student.head.last_layer.zero_grad();
  update.step();

  average_student(teacher_parameters, parameters, student.backbone->parameters().size(), now.teacher_momentum);
  center.update_by_mean(mean_scores);
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
