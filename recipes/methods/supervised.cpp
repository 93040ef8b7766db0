#include "vitrail/recipes/methods/supervised.h"

#include "vitrail/autograd/ops.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/data/augment/mixup.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/optim/ema.h"
#include "vitrail/recipes/build/freeze.h"
#include "vitrail/recipes/eval/evaluate.h"
#include "vitrail/recipes/models/model_card.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/peft_adapter.h"
#include "vitrail/recipes/models/start_architecture.h"
#include "vitrail/recipes/models/start_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace vitrail::recipes {
namespace {

constexpr Named<SupervisedConfig::Compat> kCompats[] = {{"none", SupervisedConfig::Compat::none},
                                                        {"deit", SupervisedConfig::Compat::deit}};
constexpr Named<data::MixupMode> kMixupModes[] = {
    {"batch", data::MixupMode::batch}, {"pair", data::MixupMode::pair}, {"elem", data::MixupMode::elem}};

std::optional<data::Mixup> make_mixup(const SupervisedConfig::Train& t) {
  if (t.mixup == 0 && t.cutmix == 0) return {};
  return data::Mixup({.mixup_alpha = t.mixup,
                      .cutmix_alpha = t.cutmix,
                      .probability = t.mixup_prob,
                      .switch_probability = t.mixup_switch_prob,
                      .mode = t.mixup_mode,
                      .label_smoothing = t.label_smoothing});
}

/// The weights [K] of `loss.class_weights`; undefined without any. Balanced weights are N / (K n_k) for the n_k of N
/// training images in class k, so that their mean over the images is 1.
Tensor make_class_weights(const std::vector<std::string>& given, const ImageData& images) {
  if (given.empty()) return {};
  constexpr const char* kKey = "loss.class_weights";
  const int64_t classes = images.classes();
  Tensor weights = zeros({classes});
  if (given == std::vector<std::string>{"balanced"}) {
    const std::vector<int64_t> counts = images.class_counts();
    const auto used = double(classes - std::count(counts.begin(), counts.end(), 0));
    for (size_t k = 0; k < counts.size(); ++k)
      if (counts[k] > 0) weights.span<float>()[k] = float(double(images.train_size()) / (used * double(counts[k])));
    return weights;
  }
  check<ConfigError>(int64_t(given.size()) == classes, kKey,
                     "has {} values for {} classes; write balanced, or one number for each class in their order",
                     given.size(), classes);
  for (size_t k = 0; k < given.size(); ++k) {
    double value = -1;
    const auto [end, error] = std::from_chars(given[k].data(), given[k].data() + given[k].size(), value);
    check<ConfigError>(error == std::errc() && end == given[k].data() + given[k].size() && value >= 0 && value < 1e30,
                       kKey, "'{}' is no weight; a weight is a number of at least 0", given[k]);
    weights.span<float>()[k] = float(value);
  }
  return weights;
}

/// Visible in this file only, so all members are public. They have the names of the papers.
struct Supervised final : Recipe {
  explicit Supervised(const SupervisedConfig& c)
      : config(c),
        images(c.data, c.seed),
        scope(uint64_t(c.seed)),
        model(build_trained_model(scope, c.model, c.lora, c.data.img_size, images.classes())),
        optimizer(build_optimizer(*model, c.optim, decay_rule())),
        mixup(make_mixup(c.train)),
        class_weights(make_class_weights(c.loss.class_weights, images)),
        plan_(make_plan()) {
    keep("model", *model);
    keep("optimizer", *optimizer);
    if (c.train.ema_decay > 0) keep("ema", ema.emplace(moving_state()));
    if (c.distillation.on()) {
      DistillationConfig settings = c.distillation;
      if (!settings.norm) settings.norm = deit() ? ag::KlNorm::elements : ag::KlNorm::batch;
      distillation.emplace(settings, c.data, images.class_names(), PublishedOptions{.accept_keys = c.accept_keys});
      if (!distillation->note().empty()) say(distillation->note());
    }
    for (const std::string& note : images.notes()) say(note);
    check<ConfigError>(!c.model.distilled || distillation, "model.distilled",
                       "needs distillation.kind soft or hard: nothing else trains the distillation token's head");
  }

  const Plan& plan() const override { return plan_; }

  std::vector<std::string> begin() override {
    if (config.init.empty()) return {};
    StartWeights start = without_texts(read_weights(config.init, config.accept_keys));
    fit_classifier(start, images.class_names());
    std::vector<std::string> notes = load_start(*model, std::move(start), config.init, pixels());
    if (!config.lora.init.empty()) load_adapter(*model, config.lora.init, config.accept_keys, notes);
    if (ema) ema.emplace(moving_state());
    return notes;
  }

  std::unique_ptr<data::Loader> load(const data::LoaderState& start) override {
    return images.train_loader(config.train.batch_size, plan_.passes(), start, shards_of_rank(plan_.shards));
  }

  Stats step(const data::Batch& batch, const At& at) override { return step_shards(std::span(&batch, 1), at); }

  Stats step_shards(std::span<const data::Batch> shards, const At& at) override {
    model->train();
    hold_frozen_norms(*model);
    optim::Update update(model->parameters(), *optimizer, at,
                         {.max_norm = config.optim.clip_grad, .running = nn::running_averages(*model)});
    int64_t shard = 0;  // of this rank
    const std::vector<double> means = update.backward(shards, [&](const data::Batch& batch) -> optim::ShardLoss {
      const Task task = task_of(batch, at.random_key(shard++));
      const Tensor taught = distillation ? distillation->teach(task.images) : Tensor();  // [B, K]
      const std::vector<ag::Var> heads = model->heads(model->features(task.images));     // one or two of [B, K]
      const std::vector<int64_t> places = label_places(heads.front().value(), task.labels, 1);
      const double correct = double(std::count(places.begin(), places.end(), 0)) / double(batch.size());
      ag::Var labelled = labelled_loss(heads.front(), task);
      if (!distillation) return {std::move(labelled), {correct}};
      const ag::Var distilled = distillation->distill(heads.back(), taught);
      return {distillation->total(labelled, distilled), {correct, distilled.item()}};
    });
    const double grad_norm = update.clip().total;
    update.step();
    const double decay = config.train.ema_decay;
    if (ema) ema->update(moving_state(), deit() ? decay : optim::ema_warmup(at.step + 1, decay));
    Stats stats = {{"loss", means[0]}, {"acc", means[1]}, {"grad_norm", grad_norm}};
    if (distillation) stats.emplace_back("distill_loss", means[2]);
    return stats;
  }

  /// What the moving average is of: with LoRA the trained weights alone. Rounding would move the others.
  TensorMap moving_state() const {
    TensorMap moving = nn::state(*model);
    if (!config.lora.on()) return moving;
    for (const ag::Parameter* p : model->parameters())
      if (!p->requires_grad()) moving.erase(p->name());
    return moving;
  }

  Preprocessing pixels() const { return eval_preprocessing(config.data); }

  Evaluation evaluate(const Tick& tick) override {
    Stats stats = evaluate(*model, tick);
    double score = stat(stats, "top1");
    if (ema) {
      const auto averaged = build_model(scope.without_values(), config.model, config.data.img_size, images.classes());
      TensorMap weights = ema->state();
      weights.merge(nn::state(*model));  // the frozen ones, if the average has none
      nn::load_state(*averaged, config.lora.merged(std::move(weights)), "average");
      const Stats of_average = evaluate(*averaged, tick);
      score = stat(of_average, "top1");
      for (const auto& [name, value] : of_average) stats.emplace_back("ema_" + name, value);
    }
    stats.emplace_back("images", scored);
    if (const std::string note = left_out_note(images.val_size(), scored); !note.empty()) say(note);
    return {std::move(stats), score};
  }

  std::vector<std::string> headline() const override {
    return {images.text(), config.model.arch + ": " + parameters_text(*model)};
  }
  std::string score_name() const override { return ema ? "ema_top1" : "top1"; }
  std::vector<std::string> next_commands(const std::string& run) const override {
    return {"vitrail eval " + run, "vitrail predict " + run + " photo.jpg"};
  }
  std::vector<std::string> classes() const override { return images.class_names(); }

  std::vector<ModelCard> cards() override { return {model_card(*model, config.data.img_size)}; }

  /// A batch, mixed if the recipe asks for it.
  struct Task {
    Tensor images;   // [B, 3, H, W]
    Tensor labels;   // i64 [B]; for mixed images the class with the larger share
    Tensor targets;  // [B, K] for mixed images; else undefined
  };

  /// Logits [B, K] to the mean over the images of -sum_k w_k t_k log p_k, with class weights w and targets t.
  ag::Var labelled_loss(const ag::Var& logits, const Task& now) const {
    const double smoothing = config.train.label_smoothing;
    if (!class_weights.defined()) {
      if (now.targets.defined()) return soft_cross_entropy(logits, now.targets);
      return cross_entropy(logits, now.labels, {.smoothing = smoothing});
    }
    const int64_t classes = images.classes();
    const double off = smoothing / double(classes);
    const Tensor targets =
        now.targets.defined() ? now.targets : core::one_hot(now.labels, classes, 1 - smoothing + off, off);
    return soft_cross_entropy(logits, core::mul(targets, class_weights));
  }

  Task task_of(const data::Batch& batch, uint64_t random_key) const {
    if (!mixup) return {batch["images"], batch["labels"], {}};
    Rng rng(uint64_t(config.seed), "mixup", random_key);
    const int64_t side = config.data.img_size;
    const data::Mixup::Params mixes = mixup->sample(rng, batch.size(), {side, side});
    Task task{batch["images"].clone(), {}, mixup->targets(batch["labels"], images.classes(), mixes)};
    mixup->apply(task.images, mixes);
    task.labels = core::argmax(task.targets, 1);
    return task;
  }

  Plan make_plan() const {
    const SupervisedConfig::Train& t = config.train;
    Plan plan = t.plan(config, images.epoch_size(), config.optim, config.schedule);
    const int64_t shard_size = t.batch_size / plan.shards;
    check<ConfigError>(!mixup || shard_size % 2 == 0, "train.batch_size",
                       "{} is odd: the images of a shard are mixed in pairs", shard_size);
    if (deit()) {
      // DeiT sets the rate at the end of an epoch by the number of that epoch, so each later epoch is one behind.
      plan.lr = [schedule = plan.lr, lag = double(plan.steps_per_epoch)](double step) {
        return schedule(std::max(step - lag, 0.0));
      };
    }
    plan.eval_every = t.eval_every;
    return plan;
  }

  bool deit() const { return config.compat == SupervisedConfig::Compat::deit; }

  optim::DecayRule decay_rule() const { return deit() ? optim::deit_decay() : optim::timm_decay(); }

  Stats evaluate(nn::Backbone& network, const Tick& tick) {
    const Scores scores = recipes::evaluate(network, *images.val_loader(config.train.batch_size), tick);
    scored = scores.all.images;
    return scores.stats();
  }

  const SupervisedConfig config;
  ImageData images;
  nn::Scope scope;
  std::unique_ptr<nn::Backbone> model;
  std::unique_ptr<optim::Optimizer> optimizer;
  std::optional<optim::ModelEma> ema;
  std::optional<Distillation> distillation;
  std::optional<data::Mixup> mixup;
  Tensor class_weights;  // [K]; undefined: all 1
  Plan plan_;
  int64_t scored = 0;  // images of the last evaluation
};

}  // namespace

void SupervisedConfig::Loss::describe(Fields& f) {
  f("class_weights", class_weights,
    "weight of each class in the loss: balanced, in inverse proportion to its training images; or a list of numbers in "
    "the order of the classes; empty: all the same",
    one_or_more());
}

std::vector<std::string> SupervisedConfig::settle(Config& config) {
  std::vector<std::string> notes = settle_architecture(config, init);
  settle_adapter(config, notes);
  return notes;
}

void SupervisedConfig::Train::describe(Fields& f) {
  describe_length(f);
  describe_shards(f);
  f("label_smoothing", label_smoothing, "share of the target that is spread over all classes", between(0, 1));
  f("mixup", mixup, "alpha of Mixup, whose mixing share is from Beta(alpha, alpha); 0: no Mixup", at_least(0));
  f("cutmix", cutmix, "alpha of CutMix; 0: no CutMix", at_least(0));
  f("mixup_prob", mixup_prob, "probability that a batch is mixed", between(0, 1));
  f("mixup_switch_prob", mixup_switch_prob, "with both: probability of CutMix instead of Mixup", between(0, 1));
  f("mixup_mode", mixup_mode, "one random draw per batch, per pair or per image", kMixupModes);
  f("ema_decay", ema_decay, "decay of a moving average of the weights, which is evaluated too; 0: no average",
    between(0, 1));
  f("eval_every", eval_every, "epochs between evaluations", at_least(1));
  describe_records(f);
}

void SupervisedConfig::describe(Fields& f) {
  RecipeConfig::describe(f);
  f("init", init,
    "initial weights: safetensors, folder of a published model, checkpoint or run; image size and classes may differ",
    is_path());
  f("accept_keys", accept_keys, kAcceptKeysHelp);
  f("compat", compat,
    "deit: follow DeiT's code where it differs from the paper: the learning rate is an epoch behind, dist_token is "
    "decayed, the average has no warm-up, soft distillation is divided by the elements",
    kCompats);
  f("model", model);
  f.also("model", "model.arch");
  f("lora", lora);
  f("data", data);
  f("optim", optim);
  f("schedule", schedule);
  f("loss", loss);
  f("distillation", distillation);
  f("train", train);
}

void SupervisedConfig::open(const TensorMap& state, OpenModel& opened) const {
  constexpr KeptNetwork kKept[] = {{.prefix = "ema/", .averaged = true, .others = "model/"}, {.prefix = "model/"}};
  open_backbone(opened, *this, state, kKept);
}

Preview SupervisedConfig::preview(int64_t count) const { return recipes::preview(data, seed, count); }

std::unique_ptr<Recipe> SupervisedConfig::build() const {
  lora.check_use(init, precision);
  return std::make_unique<Supervised>(*this);
}

}  // namespace vitrail::recipes
