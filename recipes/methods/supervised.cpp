#include "vitrail/recipes/methods/supervised.h"

#include "vitrail/autograd/ops.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/data/augment/mixup.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/weights/transfer.h"
#include "vitrail/optim/clip_grad.h"
#include "vitrail/optim/ema.h"
#include "vitrail/recipes/eval/evaluate.h"
#include "vitrail/recipes/models/trained_model.h"

#include <algorithm>
#include <optional>

namespace vitrail::recipes {
namespace {

std::optional<data::Mixup> make_mixup(const SupervisedConfig::Train& t) {
  if (t.mixup == 0 && t.cutmix == 0) return {};
  return data::Mixup({.mixup_alpha = t.mixup,
                      .cutmix_alpha = t.cutmix,
                      .probability = t.mixup_prob,
                      .switch_probability = t.mixup_switch_prob,
                      .mode = data::parse_mixup_mode(t.mixup_mode),
                      .label_smoothing = t.label_smoothing});
}

/// Nobody else sees it, so nothing in it is private and its parts have the names of the papers.
struct Supervised final : Recipe {
  explicit Supervised(const SupervisedConfig& c)
      : config(c),
        images(c.data, c.seed),
        scope(uint64_t(c.seed)),
        model(build_model(scope, c.model, c.data.img_size, images.classes())),
        optimizer(build_optimizer(*model, c.optim, decay_rule())),
        mixup(make_mixup(c.train)),
        plan_(make_plan()) {
    keep("model", *model);
    keep("optimizer", *optimizer);
    if (c.train.ema_decay > 0) keep("ema", ema.emplace(nn::state(*model)));
    if (c.distillation.on()) {
      DistillationConfig settings = c.distillation;
      if (!settings.norm) settings.norm = deit() ? "elements" : "batch";
      distillation.emplace(settings, c.data, images.classes());
    }
    check<ConfigError>(!c.model.distilled || distillation, "model.distilled",
                       "needs distillation.kind soft or hard: nothing else trains the distillation token's head");
  }

  const Plan& plan() const override { return plan_; }

  std::vector<std::string> begin() override {
    if (config.init.empty()) return {};
    StartWeights start = read_weights(config.init);
    std::vector<std::string> notes = std::move(start.notes);
    for (std::string& note : nn::load_pretrained(*model, std::move(start.tensors), config.init, start.layout))
      notes.push_back(std::move(note));
    if (ema) ema.emplace(nn::state(*model));
    for (std::string& note : notes) note = "[init] " + config.init + ": " + note;
    const std::string layout = start.layout ? ", in the layout of " + std::string(start.layout->title) : "";
    notes.insert(notes.begin(), "[init] weights of " + config.init + layout);
    return notes;
  }

  std::unique_ptr<data::Loader> load(const data::LoaderState& start) override {
    return images.train_loader(config.train.batch_size, config.train.epochs, start);
  }

  Stats step(const data::Batch& batch, const At& at) override {
    const ag::Autocast precision(parse_dtype(config.precision));
    const Task task = task_of(batch, at.step);
    model->train();
    optimizer->zero_grad();
    const int64_t size = batch.size(), part = size / config.train.accumulate;
    double loss = 0, distilled_loss = 0, correct = 0;
    for (int64_t begin = 0; begin < size; begin += part) {
      const Task now = task.slice(begin, begin + part);
      const double share = double(part) / double(size);
      const Tensor taught = distillation ? distillation->teach(now.images) : Tensor();  // [B, K]

      ag::Tape tape;
      const std::vector<ag::Var> heads = model->heads(model->features(now.images));  // one or two of [B, K]
      ag::Var part_loss = now.targets.defined()
                              ? soft_cross_entropy(heads.front(), now.targets)
                              : cross_entropy(heads.front(), now.labels, {.smoothing = config.train.label_smoothing});
      if (distillation) {
        const ag::Var distilled = distillation->distill(heads.back(), taught);
        part_loss = distillation->total(part_loss, distilled);
        distilled_loss += share * distilled.value().item();
      }
      check_finite("loss", part_loss.value().item(), at);
      tape.backward(part_loss * share);

      loss += share * part_loss.value().item();
      const std::vector<int64_t> places = label_places(heads.front().value(), now.labels, 1);
      correct += double(std::count(places.begin(), places.end(), 0));
    }
    const double grad_norm = optim::clip_grad_norm(model->parameters(), config.optim.clip_grad);
    check_finite("gradient norm", grad_norm, at);
    optimizer->step(at.lr, at.weight_decay);
    const double decay = config.train.ema_decay;
    if (ema) ema->update(nn::state(*model), deit() ? decay : optim::ema_warmup(at.step + 1, decay));
    Stats stats = {{"loss", loss}, {"acc", correct / double(size)}, {"grad_norm", grad_norm}};
    if (distillation) stats.emplace_back("distill_loss", distilled_loss);
    return stats;
  }

  Evaluation evaluate(const Tick& tick) override {
    Stats stats = evaluate(*model, tick);
    double score = stat(stats, "top1");
    if (ema) {
      const auto averaged = build_model(scope.without_values(), config.model, config.data.img_size, images.classes());
      nn::load_state(*averaged, ema->state(), "average");
      const Stats of_average = evaluate(*averaged, tick);
      score = stat(of_average, "top1");
      for (const auto& [name, value] : of_average) stats.emplace_back("ema_" + name, value);
    }
    return {std::move(stats), score};
  }

  std::vector<ModelCard> cards() override { return {model_card(*model, config.data.img_size)}; }

  /// What a batch asks for.
  struct Task {
    Tensor images;   // [B, 3, H, W]
    Tensor labels;   // i64 [B]; of mixed images the class of the larger share
    Tensor targets;  // [B, K], of mixed images; else undefined

    Task slice(int64_t begin, int64_t end) const {
      return {images.slice(0, begin, end), labels.slice(0, begin, end),
              targets.defined() ? targets.slice(0, begin, end) : Tensor()};
    }
  };

  Task task_of(const data::Batch& batch, int64_t step) const {
    if (!mixup) return {batch["images"], batch["labels"], {}};
    Rng rng(uint64_t(config.seed), "mixup", uint64_t(step));
    const int64_t side = config.data.img_size;
    const data::Mixup::Params mixes = mixup->sample(rng, batch.size(), {side, side});
    Task task{batch["images"].clone(), {}, mixup->targets(batch["labels"], images.classes(), mixes)};
    mixup->apply(task.images, mixes);
    task.labels = core::argmax(task.targets, 1);
    return task;
  }

  Plan make_plan() const {
    const SupervisedConfig::Train& t = config.train;
    const int64_t steps_per_epoch = images.epoch_size() / t.batch_size;
    check<ConfigError>(steps_per_epoch > 0, "train.batch_size", "{} is more than the {} training images", t.batch_size,
                       images.epoch_size());
    check<ConfigError>(t.batch_size % t.accumulate == 0, "train.accumulate", "{} does not divide train.batch_size {}",
                       t.accumulate, t.batch_size);
    check<ConfigError>(!mixup || t.batch_size % 2 == 0, "train.batch_size", "{} is odd: images are mixed in pairs",
                       t.batch_size);
    const double decay = config.optim.weight_decay;
    return {.name = config.name,
            .seed = uint64_t(config.seed),
            .epochs = t.epochs,
            .steps_per_epoch = steps_per_epoch,
            .batch_size = t.batch_size,
            .lr = make_schedule(steps_per_epoch),
            .weight_decay = [decay](double) { return decay; },
            .eval_every = t.eval_every,
            .checkpoint_every = t.checkpoint_every,
            .log_every = t.log_every};
  }

  std::function<double(double)> make_schedule(int64_t steps_per_epoch) const {
    auto schedule = build_schedule(config.schedule, config.optim.peak_lr(config.train.batch_size), config.train.epochs,
                                   steps_per_epoch);
    if (!deit()) return schedule;
    // DeiT sets the rate after an epoch by that epoch's number, so that every epoch but the first is one behind.
    return [schedule, lag = double(steps_per_epoch)](double step) { return schedule(std::max(step - lag, 0.0)); };
  }

  bool deit() const { return config.compat == "deit"; }

  optim::DecayRule decay_rule() const { return deit() ? optim::deit_decay() : optim::timm_decay(); }

  Stats evaluate(nn::Backbone& network, const Tick& tick) {
    const ag::Autocast precision(parse_dtype(config.precision));
    return recipes::evaluate(network, *images.val_loader(config.train.batch_size), tick).stats();
  }

  const SupervisedConfig config;
  ImageData images;
  nn::Scope scope;
  std::unique_ptr<nn::Backbone> model;
  std::unique_ptr<optim::Optimizer> optimizer;
  std::optional<optim::ModelEma> ema;
  std::optional<Distillation> distillation;
  std::optional<data::Mixup> mixup;
  Plan plan_;
};

}  // namespace

void SupervisedConfig::Train::describe(Fields& f) {
  f("epochs", epochs, "passes over the training images", at_least(1));
  f("batch_size", batch_size, "images a step", at_least(1));
  f("accumulate", accumulate, "parts a batch is computed in, one after the other, to save memory", at_least(1));
  f("label_smoothing", label_smoothing, "share of the target spread over all classes", between(0, 1));
  f("mixup", mixup, "alpha of mixup: the share is from Beta(alpha, alpha); 0: none", at_least(0));
  f("cutmix", cutmix, "alpha of CutMix; 0: none", at_least(0));
  f("mixup_prob", mixup_prob, "probability that a batch is mixed", between(0, 1));
  f("mixup_switch_prob", mixup_switch_prob, "probability of CutMix where both are on", between(0, 1));
  f("mixup_mode", mixup_mode, "one draw for the batch, for each pair, or for each image",
    one_of({"batch", "pair", "elem"}));
  f("ema_decay", ema_decay, "of an averaged model, evaluated too; 0: none", between(0, 1));
  f("eval_every", eval_every, "epochs between evaluations", at_least(1));
  f("checkpoint_every", checkpoint_every, "steps between checkpoints; 0: at the end of each epoch only", at_least(0));
  f("log_every", log_every, "steps between lines of metrics.jsonl", at_least(1));
}

void SupervisedConfig::describe(Fields& f) {
  RecipeConfig::describe(f);
  f("init", init,
    "weights to start from: safetensors, folder of a published model, checkpoint or run; any image size and classes");
  f("compat", compat,
    "deit: what its published code does otherwise than its paper: the learning rate is an epoch behind, dist_token is "
    "decayed, the average has no warm-up, soft distillation is divided by the elements",
    one_of({"none", "deit"}));
  f("model", model);
  f("data", data);
  f("optim", optim);
  f("schedule", schedule);
  f("distillation", distillation);
  f("train", train);
}

Preview SupervisedConfig::preview(int64_t count) const { return recipes::preview(data, seed, count); }

std::unique_ptr<Recipe> SupervisedConfig::build() const { return std::make_unique<Supervised>(*this); }

}  // namespace vitrail::recipes
