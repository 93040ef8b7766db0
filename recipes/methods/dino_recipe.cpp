#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/summary.h"
#include "vitrail/optim/schedule.h"
#include "vitrail/recipes/eval/collapse.h"
#include "vitrail/recipes/methods/adaptation.h"
#include "vitrail/recipes/methods/dino.h"
#include "vitrail/recipes/methods/dino_data.h"
#include "vitrail/recipes/methods/dino_step.h"
#include "vitrail/recipes/methods/teacher_evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

namespace vitrail::recipes {
namespace {

constexpr int64_t kLeastBatch = 32;              // smaller batches give a noisy centre
constexpr int64_t kMostPrototypesPerImage = 16;  // more prototypes stay unused

DinoOptions options_of(const DinoConfig& c) {
  return {.views = DinoStep::kGlobalViews + c.crops.local_number,
          .head = head_of(c),
          .student_temp = c.train.student_temp,
          .center_momentum = c.teacher.center_momentum,
          .clip_grad = c.optim.clip_grad,
          .freeze_last_layer = c.train.freeze_last_layer,
          .head_epochs = c.adapt.head_epochs,
          .layer_decay = c.optim.layer_decay};
}

/// Visible in this file only, so all members are public. They have the names of the papers.
struct Dino final : Recipe {
  explicit Dino(const DinoConfig& c)
      : config(c),
        images(config),
        step_(c.build_step()),
        dino(*step_),
        watch(c.head.out_dim, kStepsBeforeWarning),
        plan_(make_plan()),
        evaluation(
            config, images, *dino.teacher.backbone,
            [this](const Tensor& features) {
              return dino.center.targets(dino.teacher.head(features).value(), config.teacher.temp);
            },
            [this](std::string note) { say(std::move(note)); }) {
    const double steps = double(plan_.epochs * plan_.steps_per_epoch);
    teacher_momentum = {.base = c.teacher.momentum, .final = 1, .steps = steps};
    teacher_temp = {.base = c.teacher.temp,
                    .warmup = {double(c.teacher.warmup_epochs), c.teacher.warmup_temp, optim::Ends::both}};
    keep("baselines", evaluation.baselines);
    if (c.train.batch_size < kLeastBatch)
      say(
          fmt::format("train.batch_size {} is small for DINO: below {} the centre is noisy; raise it, or set "
                      "teacher.momentum near 0.9995",
                      c.train.batch_size, kLeastBatch));
    if (c.head.out_dim > kMostPrototypesPerImage * images.train_size())
      say(fmt::format("head.out_dim {} is large for {} images; 1024 to 16384 suit small data", c.head.out_dim,
                      images.train_size()));
  }

  const Plan& plan() const override { return plan_; }

  std::vector<std::string> begin() override {
    if (config.init.empty()) return {};
    AdaptationStart start = start_student(config, dino.student, *dino.student.backbone);
    nn::copy_state(dino.teacher, dino.student);
    if (!start.run.empty()) dino.set_centers(start.run);
    return std::move(start.notes);
  }

  std::unique_ptr<data::Loader> load(const data::LoaderState& start) override {
    return images.train_loader(start, config.train.batch_size, plan_.passes(), shards_of_rank(plan_.shards));
  }

  Stats step(const data::Batch& batch, const At& at) override { return step_shards(std::span(&batch, 1), at); }

  Stats step_shards(std::span<const data::Batch> shards, const At& at) override {
    const DinoAt now{.teacher_temp = teacher_temp(double(at.epoch)),
                     .teacher_momentum = teacher_momentum(double(at.step))};
    std::vector<std::vector<Tensor>> crops;
    for (const data::Batch& batch : shards) crops.push_back(crops_of(batch));
    const DinoStep::Result result = dino(crops, at, now, [](const DinoStep::Result& of_shard) {
      const CollapseSigns signs = collapse_signs(of_shard.teacher_probs, of_shard.teacher_features);
      return std::vector{signs.entropy, signs.kl, signs.rank, signs.feat_std};
    });
    const CollapseSigns signs{result.numbers[0], result.numbers[1], result.numbers[2], result.numbers[3]};
    if (std::string warning = watch.add(signs); !warning.empty()) say(std::move(warning));
    Stats stats = {{"loss", result.loss}, {"grad_norm", result.grad_norms.total}};
    for (const auto& entry : signs.stats()) stats.push_back(entry);
    return stats;
  }

  Evaluation evaluate(const Tick& tick) override {
    dino.teacher.eval();
    return evaluation(tick);
  }

  TensorMap state() const override {
    TensorMap map = Recipe::state();
    map.merge(dino.state());
    return map;
  }

  void load_state(const TensorMap& map) override {
    dino.load_state(map);
    Recipe::load_state(map);
  }

  std::vector<std::string> headline() const override {
    return {images.text(),
            config.model.arch + " with its head: " + parameters_text(dino.student) + "; its teacher as many"};
  }
  std::string score_name() const override { return "knn_top1"; }
  std::vector<std::string> next_commands(const std::string& run) const override {
    return evaluation.next_commands(run);
  }
  int64_t state_bytes() const override { return Recipe::state_bytes() + dino.missing_bytes(); }

  std::vector<ModelCard> cards() override {
    const int64_t side = config.data.img_size;
    const std::vector<Tensor> image{zeros({1, 3, side, side})};
    dino.student.eval();
    dino.teacher.eval();
    const auto student = nn::summarize([&] { dino.student(image, nn::Compute::all); });
    const auto teacher = nn::summarize([&] { dino.teacher(image, nn::Compute::all); });
    return {{.name = "student",
             .table = nn::to_table(student, 3),
             .parameters = dino.student.parameter_count(),
             .flops = 2 * student.front().macs},
            {.name = "teacher",
             .table = {},
             .parameters = dino.teacher.parameter_count(),
             .flops = 2 * teacher.front().macs}};
  }

  Plan make_plan() const {
    const DinoConfig::Train& t = config.train;
    const DinoConfig::Optim& o = config.optim;
    Plan plan = t.plan(config, images.train_size());
    check_views(config, dino.student.backbone->patch_size());
    const DinoConfig::Schedule& s = config.schedule;
    check_warmup(s.warmup_epochs, t.epochs);
    const double steps = double(t.epochs * plan.steps_per_epoch);
    const double peak_lr = o.optimizer().peak_lr(t.batch_size);
    const optim::Warmup warmup{.steps = s.warmup_epochs * double(plan.steps_per_epoch), .ends = optim::Ends::both};
    const double end_lr = s.name == ScheduleKind::constant ? peak_lr : s.min_lr;
    plan.lr = optim::CosineSchedule{.base = peak_lr, .final = end_lr, .steps = steps, .warmup = warmup};
    plan.weight_decay = optim::CosineSchedule{.base = o.weight_decay[0], .final = o.weight_decay[1], .steps = steps};
    plan.eval_every = config.eval.every;
    plan.not_below_start = kept_numbers(config);
    return plan;
  }

  const DinoConfig config;
  DinoData images;
  const std::unique_ptr<DinoStep> step_;
  DinoStep& dino;
  CollapseWatch watch;
  Plan plan_;
  optim::CosineSchedule teacher_momentum;
  optim::PolynomialSchedule teacher_temp;  // by epoch
  TeacherEvaluation evaluation;
};

}  // namespace

std::unique_ptr<DinoStep> DinoConfig::build_step() const {
  const auto make_optimizer = [this](const std::vector<optim::ParamGroup>& groups) {
    return build_optimizer(groups, optim.optimizer(), optim::LarsRule::dino);
  };
  return std::make_unique<DinoStep>(nn::Scope(uint64_t(seed)), student_maker(*this), teacher_maker(*this),
                                    make_optimizer, options_of(*this));
}

std::unique_ptr<Recipe> DinoConfig::build() const {
  lora.check_use(init, precision);
  return std::make_unique<Dino>(*this);
}

}  // namespace vitrail::recipes
