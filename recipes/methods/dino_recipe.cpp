#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/summary.h"
#include "vitrail/optim/schedule.h"
#include "vitrail/recipes/eval/collapse.h"
#include "vitrail/recipes/eval/evaluate.h"
#include "vitrail/recipes/eval/features.h"
#include "vitrail/recipes/eval/image_retrieval.h"
#include "vitrail/recipes/eval/knn.h"
#include "vitrail/recipes/eval/linear_probe.h"
#include "vitrail/recipes/methods/dino.h"
#include "vitrail/recipes/methods/dino_data.h"
#include "vitrail/recipes/methods/dino_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

namespace vitrail::recipes {
namespace {

constexpr int64_t kLeastBatch = 32;              // smaller batches give a noisy centre
constexpr int64_t kMostPrototypesPerImage = 16;  // more prototypes stay unused
constexpr int64_t kSignImages = 2048;            // images that an evaluation checks for collapse
constexpr int64_t kStepsBeforeWarning = 500;     // at first all outputs look the same

ModelConfig without_drops(ModelConfig model) {
  model.drop_rate = model.drop_path_rate = 0;
  return model;
}

nn::MakeBackbone maker(const ModelConfig& model, int64_t img_size) {
  return [=](const nn::Scope& scope) { return build_trained_model(scope, model, img_size, /*num_classes=*/0); };
}

DinoOptions options_of(const DinoConfig& c) {
  return {.views = DinoStep::kGlobalViews + c.crops.local_number,
          .head = {.out_dim = c.head.out_dim,
                   .hidden_dim = c.head.hidden_dim,
                   .bottleneck_dim = c.head.bottleneck_dim,
                   .use_bn = c.head.use_bn,
                   .norm_last_layer = c.head.norm_last_layer},
          .student_temp = c.train.student_temp,
          .center_momentum = c.teacher.center_momentum,
          .clip_grad = c.optim.clip_grad,
          .freeze_last_layer = c.train.freeze_last_layer};
}

/// Visible in this file only, so all members are public. They have the names of the papers.
struct Dino final : Recipe {
  explicit Dino(const DinoConfig& c)
      : config(c),
        images(c),
        step_(c.build_step()),
        dino(*step_),
        watch(c.head.out_dim, kStepsBeforeWarning),
        plan_(make_plan()) {
    const double steps = double(plan_.epochs * plan_.steps_per_epoch);
    teacher_momentum = {.base = c.teacher.momentum, .final = 1, .steps = steps};
    teacher_temp = {.base = c.teacher.temp,
                    .warmup = {double(c.teacher.warmup_epochs), c.teacher.warmup_temp, optim::Ends::both}};
    keep("baselines", baselines);
    if (!images.labelled()) say("no k-NN evaluation: " + images.why_unlabelled());
    for (const std::string& note : images.notes()) say(note);
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

  std::unique_ptr<data::Loader> load(const data::LoaderState& start) override {
    return images.train_loader(start, config.train.batch_size);
  }

  Stats step(const data::Batch& batch, const At& at) override {
    const DinoAt now{.teacher_temp = teacher_temp(double(at.epoch)),
                     .teacher_momentum = teacher_momentum(double(at.step))};
    const DinoStep::Result result = dino(crops_of(batch), at, now);
    const CollapseSigns signs = collapse_signs(result.teacher_probs, result.teacher_features);
    if (std::string warning = watch.add(signs); !warning.empty()) say(std::move(warning));
    Stats stats = {{"loss", result.loss}, {"grad_norm", result.grad_norms.total}};
    for (const auto& entry : signs.stats()) stats.push_back(entry);
    return stats;
  }

  Evaluation evaluate(const Tick& tick) override {
    dino.teacher.eval();
    if (!images.labelled()) {
      const auto loader = images.plain_train_loader();
      return {signs_of(extract_features(pooled_features(*dino.teacher.backbone), *loader, tick, kSignImages)), {}};
    }
    find_baselines(tick);
    nn::Backbone& network = *dino.teacher.backbone;
    const bool linear = config.eval.linear_epochs > 0;
    const FeatureOf feature_of = linear ? probe_features(network, kProbeBlocks, false) : pooled_features(network);
    const FeatureSet train = extract_features(feature_of, *images.plain_train_loader(), tick);
    const FeatureSet val = extract_features(feature_of, *images.val_loader(), tick);
    const FeatureSet val_pooled = last_columns(val);

    const double top1 = knn(last_columns(train), val_pooled);
    Stats stats = {{"knn_top1", top1}, {"retrieval_map", retrieval_map(normalized(val_pooled))}};
    if (linear)
      stats.emplace_back(
          "linear_top1",
          best_of(linear_probe({train}, val, images.classes(),
                               {.epochs = config.eval.linear_epochs, .seed = uint64_t(config.seed)}, tick))
              .top1);
    for (const auto& entry : baselines) stats.push_back(entry);
    for (const auto& entry : signs_of(val_pooled)) stats.push_back(entry);
    const int64_t scored = val.labels.size(0);
    stats.emplace_back("images", scored);
    if (const std::string note = left_out_note(images.val_size(), scored); !note.empty()) say(note);
    return {std::move(stats), top1};
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
    if (!images.labelled()) return {"vitrail pca " + run + " photos/"};
    return {"vitrail knn " + run, "vitrail pca " + run + " photos/"};
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
    check<ConfigError>(!config.model.distilled, "model.distilled", "DINO reads the class token alone");
    const int64_t patch = dino.student.backbone->patch_size();
    check<ConfigError>(config.crops.local_number == 0 || config.crops.local_size % patch == 0, "crops.local_size",
                       "{} is no multiple of the patches of {}", config.crops.local_size, patch);
    const DinoConfig::Schedule& s = config.schedule;
    check_warmup(s.warmup_epochs, t.epochs);
    const double steps = double(t.epochs * plan.steps_per_epoch);
    const double peak_lr = o.optimizer().peak_lr(t.batch_size);
    const optim::Warmup warmup{.steps = s.warmup_epochs * double(plan.steps_per_epoch), .ends = optim::Ends::both};
    const double end_lr = s.name == ScheduleKind::constant ? peak_lr : s.min_lr;
    plan.lr = optim::CosineSchedule{.base = peak_lr, .final = end_lr, .steps = steps, .warmup = warmup};
    plan.weight_decay = optim::CosineSchedule{.base = o.weight_decay[0], .final = o.weight_decay[1], .steps = steps};
    plan.eval_every = config.eval.every;
    return plan;
  }

  /// The columns of probe_features that pooled_features gives: those of the last block.
  FeatureSet last_columns(const FeatureSet& set) const {
    const int64_t all = set.features.size(1), dim = dino.teacher.backbone->feature_dim();
    return {set.features.slice(1, all - dim, all), set.labels};
  }

  double knn(const FeatureSet& train, const FeatureSet& val) const {
    const FeatureSet known = normalized(train), asked = normalized(val);
    return knn_top1(known.features, known.labels, asked.features, asked.labels, images.classes(),
                    {.k = config.eval.knn_k, .temperature = config.eval.knn_temp});
  }

  Stats signs_of(const FeatureSet& set) {
    const Tensor features = set.features.slice(0, 0, std::min(kSignImages, set.features.size(0)));
    const Tensor scores = dino.teacher.head(features).value();
    return collapse_signs(dino.center.targets(scores, config.teacher.temp), features).stats();
  }

  /// The scores of a network with random weights and of the pixels, once per run.
  void find_baselines(const Tick& tick) {
    if (!config.eval.baselines || !baselines.empty()) return;
    const auto score = [&](const FeatureOf& feature_of) {
      const FeatureSet train = extract_features(feature_of, *images.plain_train_loader(), tick);
      return knn(train, extract_features(feature_of, *images.val_loader(), tick));
    };
    const auto untrained =
        build_model(nn::Scope(uint64_t(config.seed)), config.model, config.data.img_size, /*num_classes=*/0);
    std::map<std::string, double> found{{"knn_top1_untrained", score(pooled_features(*untrained))}};
    if (pixels_fit(images.train_size(), config.data.img_size))
      found.emplace("knn_top1_pixels", score(pixel_features()));
    else
      say("no k-NN on pixels: all images together have too many pixels");
    baselines = std::move(found);  // all of them, or none if the evaluation was stopped
  }

  static constexpr int64_t kProbeBlocks = 4;

  const DinoConfig config;
  DinoData images;
  const std::unique_ptr<DinoStep> step_;
  DinoStep& dino;
  CollapseWatch watch;
  Plan plan_;
  optim::CosineSchedule teacher_momentum;
  optim::PolynomialSchedule teacher_temp;  // by epoch
  std::map<std::string, double> baselines;
};

}  // namespace

std::unique_ptr<DinoStep> DinoConfig::build_step() const {
  const auto make_optimizer = [this](const std::vector<optim::ParamGroup>& groups) {
    return build_optimizer(groups, optim.optimizer(), optim::LarsRule::dino);
  };
  return std::make_unique<DinoStep>(nn::Scope(uint64_t(seed)), maker(model, data.img_size),
                                    maker(without_drops(model), data.img_size), make_optimizer, options_of(*this));
}

Preview DinoConfig::preview(int64_t count) const {
  const int64_t globals = DinoStep::kGlobalViews, views = globals + crops.local_number;
  DinoData data_parts(*this);
  const int64_t size = std::clamp<int64_t>(count / views, 1, data_parts.train_size());
  const auto batch = data_parts.train_loader({}, size)->next();
  check<DataError>(batch.has_value(), "preview", "{} has no images", data.root);
  Preview shown;
  for (int64_t i = 0; i < size; ++i) {
    for (int64_t v = 0; v < views; ++v) {
      const bool global = v < globals;
      const int64_t of_size = global ? v : v - globals;  // view of its size
      const Tensor& images = (*batch)[global ? "global_crops" : "local_crops"];
      shown.images.push_back(to_image(images.select(0, of_size * size + i), data));
      shown.captions.push_back((global ? "global " : "local ") + std::to_string(of_size + 1));
    }
  }
  return shown;
}

std::unique_ptr<Recipe> DinoConfig::build() const { return std::make_unique<Dino>(*this); }

}  // namespace vitrail::recipes
