#include "recipes/supervised.h"

#include "autograd/ops.h"
#include "autograd/scope.h"
#include "core/error.h"
#include "nn/state_io.h"
#include "optim/clip.h"
#include "optim/ema.h"
#include "recipes/evaluate.h"
#include "recipes/trained_model.h"

#include <algorithm>
#include <optional>

namespace vitrail::recipes {
namespace {

/// Nobody else sees it, so nothing in it is private and its parts have the names of the papers.
struct Supervised final : Recipe {
  explicit Supervised(const SupervisedConfig& c)
      : config(c),
        pictures(c.data, c.seed),
        scope(uint64_t(c.seed)),
        model(build_model(scope, c.model, c.data.img_size, pictures.classes())),
        optimizer(build_optimizer(*model, c.optim)),
        plan_(make_plan()) {
    if (c.train.ema_decay > 0) ema.emplace(nn::state(*model));
  }

  const Plan& plan() const override { return plan_; }

  std::unique_ptr<data::Loader> load(const data::LoaderState& start) override {
    return pictures.train_loader(config.train.batch_size, config.train.epochs, start);
  }

  Stats step(const data::Batch& batch, const At& at) override {
    const ag::Autocast precision(parse_dtype(config.precision));
    model->train();
    optimizer->zero_grad();
    const int64_t size = batch.labels.numel(), part = size / config.train.accumulate;
    double loss = 0, correct = 0;
    for (int64_t begin = 0; begin < size; begin += part) {
      const Tensor images = batch.images.slice(0, begin, begin + part);
      const Tensor labels = batch.labels.slice(0, begin, begin + part);
      const double share = double(part) / double(size);

      ag::Tape tape;
      const ag::Var logits = model->logits(images);  // [B, K]
      const ag::Var part_loss = cross_entropy(logits, labels, {.smoothing = config.train.label_smoothing});
      check_finite("loss", part_loss.value().item(), at);
      tape.backward(part_loss * share);

      loss += share * part_loss.value().item();
      const std::vector<int64_t> places = label_places(logits.value(), labels, 1);
      correct += double(std::count(places.begin(), places.end(), 0));
    }
    const double grad_norm = optim::clip_grad_norm(model->parameters(), config.optim.clip_grad);
    check_finite("gradient norm", grad_norm, at);
    optimizer->step(at.lr, at.weight_decay);
    if (ema) ema->update(nn::state(*model), optim::ema_warmup(at.step + 1, config.train.ema_decay));
    return {{"loss", loss}, {"acc", correct / double(size)}, {"grad_norm", grad_norm}};
  }

  Evaluation evaluate(const Tick& tick) override {
    Stats stats = evaluate(*model, tick);
    double score = stat(stats, "top1");
    if (ema) {
      const auto averaged = build_model(scope.without_values(), config.model, config.data.img_size, pictures.classes());
      nn::load_state(*averaged, ema->state(), "average");
      const Stats of_average = evaluate(*averaged, tick);
      score = stat(of_average, "top1");
      for (const auto& [name, value] : of_average) stats.emplace_back("ema_" + name, value);
    }
    return {std::move(stats), score};
  }

  TensorMap state() const override {
    TensorMap map;
    add_map(map, "model", nn::state(*model));
    add_map(map, "optimizer", optimizer->state());
    if (ema) add_map(map, "ema", ema->state());
    return map;
  }

  void load_state(const TensorMap& map) override {
    nn::load_state(*model, sub_map(map, "model"), "checkpoint");
    optimizer->load_state(sub_map(map, "optimizer"));
    if (ema) ema->load_state(sub_map(map, "ema"));
  }

  ModelCard card() override { return model_card(*model, config.data.img_size); }

  const data::BadFiles& bad_files() const override { return pictures.bad_files(); }

  Plan make_plan() const {
    const SupervisedConfig::Train& t = config.train;
    const int64_t steps_per_epoch = pictures.epoch_size() / t.batch_size;
    check<ConfigError>(steps_per_epoch > 0, "train.batch_size", "{} is more than the {} training pictures",
                       t.batch_size, pictures.epoch_size());
    check<ConfigError>(t.batch_size % t.accumulate == 0, "train.accumulate", "{} does not divide train.batch_size {}",
                       t.accumulate, t.batch_size);
    const double peak_lr = config.optim.peak_lr(t.batch_size), decay = config.optim.weight_decay;
    return {.name = config.name,
            .seed = uint64_t(config.seed),
            .epochs = t.epochs,
            .steps_per_epoch = steps_per_epoch,
            .batch_size = t.batch_size,
            .lr = build_schedule(config.schedule, peak_lr, t.epochs, steps_per_epoch),
            .weight_decay = [decay](double) { return decay; },
            .eval_every = t.eval_every,
            .checkpoint_every = t.checkpoint_every,
            .log_every = t.log_every};
  }

  Stats evaluate(nn::Backbone& network, const Tick& tick) {
    const ag::Autocast precision(parse_dtype(config.precision));
    return recipes::evaluate(network, *pictures.val_loader(config.train.batch_size), tick).stats();
  }

  const SupervisedConfig config;
  ImageData pictures;
  nn::Scope scope;
  std::unique_ptr<nn::Backbone> model;
  std::unique_ptr<optim::Optimizer> optimizer;
  std::optional<optim::ModelEma> ema;
  Plan plan_;
};

}  // namespace

void SupervisedConfig::Train::describe(Fields& f) {
  f("epochs", epochs, "passes over the training pictures", at_least(1));
  f("batch_size", batch_size, "pictures a step", at_least(1));
  f("accumulate", accumulate, "parts a batch is computed in, one after the other, to save memory", at_least(1));
  f("label_smoothing", label_smoothing, "share of the target spread over all classes", between(0, 1));
  f("ema_decay", ema_decay, "of an averaged model, evaluated too; 0: none", between(0, 1));
  f("eval_every", eval_every, "epochs between evaluations", at_least(1));
  f("checkpoint_every", checkpoint_every, "steps between checkpoints; 0: at the end of each epoch only", at_least(0));
  f("log_every", log_every, "steps between lines of metrics.jsonl", at_least(1));
}

void SupervisedConfig::describe(Fields& f) {
  RecipeConfig::describe(f);
  f("model", model);
  f("data", data);
  f("optim", optim);
  f("schedule", schedule);
  f("train", train);
}

std::unique_ptr<Recipe> SupervisedConfig::build() const { return std::make_unique<Supervised>(*this); }

}  // namespace vitrail::recipes
