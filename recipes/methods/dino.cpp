#include "vitrail/recipes/methods/dino.h"

#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/summary.h"
#include "vitrail/optim/schedule.h"
#include "vitrail/recipes/eval/collapse.h"
#include "vitrail/recipes/eval/features.h"
#include "vitrail/recipes/eval/image_retrieval.h"
#include "vitrail/recipes/eval/knn.h"
#include "vitrail/recipes/eval/linear_probe.h"
#include "vitrail/recipes/methods/dino_data.h"
#include "vitrail/recipes/methods/dino_step.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <memory>
#include <numeric>

namespace vitrail::recipes {
namespace {

constexpr int64_t kLeastBatch = 32;              // smaller ones centre badly
constexpr int64_t kMostPrototypesPerImage = 16;  // more stay unused
constexpr int64_t kSignImages = 2048;            // that an evaluation looks for signs of collapse in
constexpr int64_t kStepsBeforeWarning = 500;     // at first all outputs look the same

ModelConfig without_drops(ModelConfig model) {
  model.drop_rate = model.drop_path_rate = 0;
  return model;
}

nn::MakeBackbone maker(const ModelConfig& model, int64_t img_size) {
  return [=](const nn::Scope& scope) { return build_model(scope, model, img_size, /*num_classes=*/0); };
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

OptimConfig optimizer_of(const DinoConfig::Optim& o) {
  OptimConfig config;
  config.name = o.name;
  config.lr = o.lr;
  config.lr_per_images = o.lr_per_images;
  config.betas = o.betas;
  config.eps = o.eps;
  config.momentum = o.momentum;
  return config;
}

double norm_of(const std::vector<double>& parts) {
  return std::sqrt(std::inner_product(parts.begin(), parts.end(), parts.begin(), 0.0));
}

/// Nobody else sees it, so nothing in it is private and its parts have the names of the papers.
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
    if (c.train.batch_size < kLeastBatch)
      say(
          fmt::format("train.batch_size {} is small for DINO: below {} the centre is noise; raise it, or bring "
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
    const ag::Autocast precision(parse_dtype(config.precision));
    const DinoAt now{.teacher_temp = teacher_temp(double(at.epoch)),
                     .teacher_momentum = teacher_momentum(double(at.step))};
    const DinoStep::Result result = dino(crops_of(batch), at, now);
    const CollapseSigns signs = collapse_signs(result.teacher_probs, result.teacher_features);
    if (std::string warning = watch.add(signs); !warning.empty()) say(std::move(warning));
    Stats stats = {{"loss", result.loss}, {"grad_norm", norm_of(result.grad_norms)}};
    for (const auto& entry : signs.stats()) stats.push_back(entry);
    return stats;
  }

  Evaluation evaluate(const Tick& tick) override {
    const ag::Autocast precision(parse_dtype(config.precision));
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

  std::vector<ModelCard> cards() override {
    const int64_t side = config.data.img_size;
    const std::vector<Tensor> image{zeros({1, 3, side, side})};
    dino.student.eval();
    const auto rows = nn::summarize([&] { dino.student(image, nn::Compute::all); });
    return {{.name = {},
             .table = nn::to_table(rows, 3),
             .parameters = dino.student.parameter_count(),
             .flops = 2 * rows.front().macs}};
  }

  Plan make_plan() const {
    const DinoConfig::Train& t = config.train;
    const DinoConfig::Optim& o = config.optim;
    const int64_t steps_per_epoch = images.train_size() / t.batch_size;
    check<ConfigError>(steps_per_epoch > 0, "train.batch_size", "{} is more than the {} training images", t.batch_size,
                       images.train_size());
    check<ConfigError>(!config.model.distilled, "model.distilled", "DINO reads the class token alone");
    const int64_t patch = dino.student.backbone->patch_size();
    check<ConfigError>(config.crops.local_number == 0 || config.crops.local_size % patch == 0, "crops.local_size",
                       "{} is no multiple of the patches of {}", config.crops.local_size, patch);
    check<ConfigError>(o.warmup_epochs < double(t.epochs), "optim.warmup_epochs",
                       "{} leaves nothing of train.epochs {}", o.warmup_epochs, t.epochs);
    const double steps = double(t.epochs * steps_per_epoch);
    const double peak_lr = optimizer_of(o).peak_lr(t.batch_size);
    const optim::Warmup warmup{.steps = o.warmup_epochs * double(steps_per_epoch), .ends = optim::Ends::both};
    return {
        .name = config.name,
        .seed = uint64_t(config.seed),
        .epochs = t.epochs,
        .steps_per_epoch = steps_per_epoch,
        .batch_size = t.batch_size,
        .lr = optim::CosineSchedule{.base = peak_lr, .final = o.min_lr, .steps = steps, .warmup = warmup},
        .weight_decay = optim::CosineSchedule{.base = o.weight_decay[0], .final = o.weight_decay[1], .steps = steps},
        .eval_every = config.eval.every,
        .checkpoint_every = t.checkpoint_every,
        .log_every = t.log_every};
  }

  /// The last block's part of what probe_features gives, which is what pooled_features gives.
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

  /// What a network with random weights reaches, and the pixels themselves: once a run.
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
      say("no k-NN on pixels: those of all images together are too many");
    baselines = std::move(found);  // all or, if this is stopped before, none
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

void DinoConfig::Images::describe(Fields& f) {
  describe_source(f);
  describe_pixels(f);
  describe_reading(f);
}

void DinoConfig::Crops::describe(Fields& f) {
  f("global_scale", global_scale, "smallest and largest share of the image's area in the two global views",
    between(0, 1).of(2));
  f("local_scale", local_scale, "the same of a local view", between(0, 1).of(2));
  f("local_number", local_number, "local views of an image", at_least(0));
  f("local_size", local_size, "side of a local view; a global one's is data.img_size", at_least(1));
  f("hflip", hflip, "probability of exchanging left and right", between(0, 1));
  f("color_jitter", color_jitter, "largest change of brightness, contrast, saturation and hue", between(0, 1).of(4));
  f("color_jitter_prob", color_jitter_prob, "its probability", between(0, 1));
  f("gray_prob", gray_prob, "probability of taking the colours away", between(0, 1));
  f("global_blur", global_blur, "probability of blurring the first and the second global view", between(0, 1).of(2));
  f("local_blur", local_blur, "probability of blurring a local view", between(0, 1));
  f("blur_sigma", blur_sigma, "smallest and largest width of the blur in pixels; for 224, scale it with the size",
    at_least(0).of(2));
  f("solarize_prob", solarize_prob, "probability of solarizing the second global view", between(0, 1));
}

void DinoConfig::Head::describe(Fields& f) {
  f("out_dim", out_dim, "prototypes; fewer for small data", at_least(2));
  f("hidden_dim", hidden_dim, "width of the perceptron", at_least(1));
  f("bottleneck_dim", bottleneck_dim, "dimensions of the prototypes", at_least(1));
  f("use_bn", use_bn, "batch normalisation in the perceptron: for convolutional networks");
  f("norm_last_layer", norm_last_layer, "prototypes keep length 1: more stable; false can be better for small ViTs");
}

void DinoConfig::Teacher::describe(Fields& f) {
  f("momentum", momentum, "of the average at the start, rising to 1; nearer to 1 for small batches", between(0, 1));
  f("temp", temp, "of its softmax; lower is sharper and safer against collapse", positive());
  f("warmup_temp", warmup_temp, "the same in the first epoch", positive());
  f("warmup_epochs", warmup_epochs, "epochs from warmup_temp to temp", at_least(0));
  f("center_momentum", center_momentum, "of the mean that is taken from its scores", between(0, 1));
}

void DinoConfig::Optim::describe(Fields& f) {
  f("name", name, "optimizer", one_of({"adamw", "sgd", "lars"}));
  f("lr", lr, "peak learning rate", positive());
  f("lr_per_images", lr_per_images, "if given, the rate is lr * batch_size / lr_per_images", at_least(1));
  f("min_lr", min_lr, "learning rate at the end of its cosine", at_least(0));
  f("warmup_epochs", warmup_epochs, "linear rise from 0", at_least(0));
  f("weight_decay", weight_decay, "at the start and at the end; of all but biases and vectors", at_least(0).of(2));
  f("betas", betas, "adamw: decay of the two moments", between(0, 1).of(2));
  f("eps", eps, "adamw: added to the root of the second moment", positive());
  f("momentum", momentum, "sgd, lars", between(0, 1));
  f("clip_grad", clip_grad, "largest norm of the gradient of each parameter by itself; 0: no clipping", at_least(0));
}

void DinoConfig::Train::describe(Fields& f) {
  f("epochs", epochs, "passes over the training images", at_least(1));
  f("batch_size", batch_size, "images a step", at_least(1));
  f("student_temp", student_temp, "of the student's softmax", positive());
  f("freeze_last_layer", freeze_last_layer, "epochs in which the prototypes stay as they are", at_least(0));
  f("checkpoint_every", checkpoint_every, "steps between checkpoints; 0: at the end of each epoch only", at_least(0));
  f("log_every", log_every, "steps between lines of metrics.jsonl", at_least(1));
}

void DinoConfig::Eval::describe(Fields& f) {
  f("every", every, "epochs between evaluations", at_least(1));
  f("knn_k", knn_k, "neighbours that vote", at_least(1));
  f("knn_temp", knn_temp, "of the votes exp(cosine / knn_temp)", positive());
  f("linear_epochs", linear_epochs, "of a linear classifier on frozen features; 0: none", at_least(0));
  f("baselines", baselines, "once a run, k-NN with a network of random weights and with the pixels");
}

void DinoConfig::describe(Fields& f) {
  RecipeConfig::describe(f);
  f("model", model);
  f("data", data);
  f("crops", crops);
  f("head", head);
  f("teacher", teacher);
  f("optim", optim);
  f("train", train);
  f("eval", eval);
}

RecipeConfig::Sections DinoConfig::sections() const {
  return {data, train.batch_size, {{"teacher/backbone.", true}, {"student/backbone.", false}}, false};
}

std::unique_ptr<DinoStep> DinoConfig::build_step() const {
  auto step = std::make_unique<DinoStep>(nn::Scope(uint64_t(seed)), maker(model, data.img_size),
                                         maker(without_drops(model), data.img_size), options_of(*this));
  step->set_optimizer(build_optimizer(step->param_groups(), optimizer_of(optim), optim::LarsRule::dino));
  return step;
}

std::unique_ptr<Recipe> DinoConfig::build() const { return std::make_unique<Dino>(*this); }

}  // namespace vitrail::recipes
