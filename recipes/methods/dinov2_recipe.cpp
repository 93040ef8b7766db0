#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"
#include "vitrail/data/augment/block_masks.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/summary.h"
#include "vitrail/optim/schedule.h"
#include "vitrail/recipes/eval/collapse.h"
#include "vitrail/recipes/methods/adaptation.h"
#include "vitrail/recipes/methods/dino_data.h"
#include "vitrail/recipes/methods/dinov2.h"
#include "vitrail/recipes/methods/frozen_teacher.h"
#include "vitrail/recipes/methods/teacher_evaluation.h"

#include <memory>

namespace vitrail::recipes {
namespace {

Dinov2Options dinov2_options(const Dinov2Config& c) {
  Dinov2Options o{.views = Dinov2Step::kGlobalViews + c.crops.local_number,
                  .head = head_of(c),
                  .ibot_head = {},
                  .centering = c.centering,
                  .center_momentum = c.teacher.center_momentum,
                  .student_temp = c.train.student_temp,
                  .ibot_weight = c.ibot.weight,
                  .koleo_weight = c.koleo.weight,
                  .koleo_group = c.koleo.group,
                  .clip_grad = c.optim.clip_grad,
                  .freeze_last_layer = c.train.freeze_last_layer,
                  .head_epochs = c.adapt.head_epochs,
                  .layer_decay = c.optim.layer_decay,
                  .patch_embed_lr = c.optim.patch_embed_lr};
  if (c.ibot.separate_head) {
    o.ibot_head = o.head;
    o.ibot_head->out_dim = c.ibot.out_dim;
    o.ibot_head->bottleneck_dim = c.ibot.bottleneck_dim;
  }
  return o;
}

/// Visible in this file only, so all members are public. They have the names of the papers.
struct Dinov2 final : Recipe {
  explicit Dinov2(const Dinov2Config& c)
      : config(c),
        images(config),
        step_(c.build_step()),
        dinov2(*step_),
        masks(grid_side(), grid_side(),
              {.probability = c.masks.probability, .min_ratio = c.masks.ratio[0], .max_ratio = c.masks.ratio[1]}),
        watch(c.head.out_dim, kStepsBeforeWarning),
        plan_(make_plan()),
        evaluation(
            config, images, *dinov2.teacher.backbone,
            [this](const Tensor& features) {
              return dinov2.center.targets(dinov2.teacher.dino_head(features).value(), config.teacher.temp);
            },
            [this](std::string note) { say(std::move(note)); }) {
    const double steps = double(plan_.epochs * plan_.steps_per_epoch);
    teacher_momentum = {.base = c.teacher.momentum, .final = 1, .steps = steps};
    teacher_temp = {
        .base = c.teacher.temp,
        .warmup = {double(c.teacher.warmup_epochs * plan_.steps_per_epoch), c.teacher.warmup_temp, optim::Ends::both}};
    keep("baselines", evaluation.baselines);
  }

  const Plan& plan() const override { return plan_; }

  std::vector<std::string> begin() override {
    if (config.init.empty()) return {};
    AdaptationStart start = start_student(config, dinov2.student, *dinov2.student.backbone);
    nn::copy_state(dinov2.teacher, dinov2.student);
    if (!start.run.empty()) dinov2.set_centers(start.run);
    return std::move(start.notes);
  }

  std::unique_ptr<data::Loader> load(const data::LoaderState& start) override {
    return images.train_loader(start, config.train.batch_size, plan_.passes());
  }

  Stats step(const data::Batch& batch, const At& at) override {
    const DinoAt now{.teacher_temp = teacher_temp(double(at.step)),
                     .teacher_momentum = teacher_momentum(double(at.step))};
    Rng rng(uint64_t(config.seed), "masks", uint64_t(at.step));
    const std::vector<Tensor> crops = crops_of(batch);
    const int64_t views = crops[0].size(0);
    const Tensor counted =
        dinov2.frozen_teacher ? full({views, grid_side() * grid_side()}, 1, DType::u8) : masks.batch(rng, views);
    const Dinov2Step::Result result = dinov2(crops, counted, at, now);
    const CollapseSigns signs = collapse_signs(result.teacher_probs, result.teacher_features);
    if (std::string warning = watch.add(signs); !warning.empty()) say(std::move(warning));
    // DINOv2 logs KoLeo and iBOT at half of their value; "loss" is the sum that is optimised.
    const Dinov2Step::Losses& l = result.losses;
    Stats stats = {{"loss", l.total},
                   {"dino_local_crops_loss", l.dino_local},
                   {"dino_global_crops_loss", l.dino_global},
                   {"koleo_loss", l.koleo / 2},
                   {"ibot_loss", l.ibot / 2},
                   {"grad_norm", result.grad_norms.total}};
    for (const auto& entry : signs.stats()) stats.push_back(entry);
    return stats;
  }

  Evaluation evaluate(const Tick& tick) override {
    dinov2.teacher.eval();
    return evaluation(tick);
  }

  TensorMap state() const override {
    TensorMap map = Recipe::state();
    map.merge(dinov2.state());
    return map;
  }
  void load_state(const TensorMap& map) override {
    dinov2.load_state(map);
    Recipe::load_state(map);
  }
  int64_t state_bytes() const override { return Recipe::state_bytes() + dinov2.missing_bytes(); }

  std::vector<std::string> headline() const override {
    std::vector<std::string> lines = {images.text(), config.model.arch + " with its heads: " +
                                                         parameters_text(dinov2.student) + "; its teacher as many"};
    if (dinov2.frozen_teacher)
      lines.push_back("frozen teacher " + config.distillation.teacher + ": " + parameters_text(*dinov2.frozen_teacher));
    return lines;
  }
  std::string score_name() const override { return "knn_top1"; }
  std::vector<std::string> next_commands(const std::string& run) const override {
    return evaluation.next_commands(run);
  }

  std::vector<ModelCard> cards() override {
    const int64_t side = config.data.img_size;
    const Tensor image = zeros({1, 3, side, side});
    dinov2.student.eval();
    const auto student = nn::summarize([&] { dinov2.student(image); });
    return {{.name = "student",
             .table = nn::to_table(student, 3),
             .parameters = dinov2.student.parameter_count(),
             .flops = 2 * student.front().macs},
            {.name = "teacher", .table = {}, .parameters = dinov2.teacher.parameter_count(), .flops = 0}};
  }

  int64_t grid_side() const { return config.data.img_size / dinov2.student.backbone->patch_size(); }

  Plan make_plan() const {
    const Dinov2Config::Train& t = config.train;
    Plan plan = t.plan(config, images.train_size());
    check<ConfigError>(config.model.mask_token, "model.mask_token", "dinov2 needs it for its masked patches");
    check_views(config, dinov2.student.backbone->patch_size());
    check<ConfigError>(config.koleo.weight == 0 || config.koleo.group == 0 || t.batch_size % config.koleo.group == 0,
                       "koleo.group", "{} does not divide train.batch_size {}", config.koleo.group, t.batch_size);
    check<ConfigError>(config.koleo.weight == 0 || t.batch_size > 1, "koleo.weight",
                       "KoLeo compares images: it needs train.batch_size 2 or more, or weight 0");
    check_warmup(config.schedule.warmup_epochs, t.epochs);
    const double per_epoch = double(plan.steps_per_epoch), steps = double(t.epochs) * per_epoch;
    const double peak_lr = config.optim.peak_lr(t.batch_size);
    plan.lr = optim::CosineSchedule{
        .base = peak_lr,
        .final = config.schedule.name == ScheduleKind::constant ? peak_lr : config.schedule.min_lr,
        .steps = steps,
        .warmup = {.steps = config.schedule.warmup_epochs * per_epoch, .ends = optim::Ends::both}};
    const std::vector<double>& decay = config.optim.weight_decay;
    plan.weight_decay = optim::CosineSchedule{.base = decay[0], .final = decay[1], .steps = steps};
    plan.eval_every = config.eval.every;
    plan.not_below_start = kept_numbers(config);
    return plan;
  }

  const Dinov2Config config;
  DinoData images;
  const std::unique_ptr<Dinov2Step> step_;
  Dinov2Step& dinov2;
  const data::BlockMasks masks;
  CollapseWatch watch;
  Plan plan_;
  TeacherEvaluation evaluation;
  optim::CosineSchedule teacher_momentum;
  optim::PolynomialSchedule teacher_temp;  // by step
};

}  // namespace

std::unique_ptr<Dinov2Step> Dinov2Config::build_step() const {
  const auto make_optimizer = [this](const std::vector<optim::ParamGroup>& groups) {
    OptimConfig adamw;
    adamw.betas = optim.betas;
    adamw.eps = optim.eps;
    return build_optimizer(groups, adamw, optim::LarsRule::dino);
  };
  auto step = std::make_unique<Dinov2Step>(
      nn::Scope(uint64_t(seed)), student_maker(*this), teacher_maker(*this), make_optimizer, dinov2_options(*this),
      distillation.teacher.empty() ? nullptr : open_frozen_teacher(*this, dinov2_options(*this)));
  if (step->frozen_teacher) expect_same_patches(*step->frozen_teacher->backbone, *step->student.backbone);
  return step;
}

std::unique_ptr<Recipe> Dinov2Config::build() const {
  lora.check_use(init, precision);
  return std::make_unique<Dinov2>(*this);
}

}  // namespace vitrail::recipes
