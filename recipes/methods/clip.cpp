#include "vitrail/recipes/methods/clip.h"

#include "vitrail/autograd/ops.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/losses/contrastive.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/summary.h"
#include "vitrail/nn/weights/transfer.h"
#include "vitrail/optim/clip_grad.h"
#include "vitrail/recipes/methods/clip_data.h"
#include "vitrail/recipes/methods/clip_eval.h"
#include "vitrail/recipes/methods/clip_model.h"
#include "vitrail/recipes/models/trained_model.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace vitrail::recipes {
namespace {

/// Nobody else sees it, so nothing in it is private and its parts have the names of the papers.
struct ClipRecipe final : Recipe {
  explicit ClipRecipe(const ClipConfig& c)
      : config(c),
        bad(bad_files_policy(c.data)),
        train(c, bad),
        eval(c, bad),
        model(
            build_clip(nn::Scope(uint64_t(c.seed)), c.clip(), c.data.img_size, train.tokenizer().vocabulary().size())),
        optimizer(build_optimizer(*model, c.optim, decay_rule())),
        plan_(make_plan()) {
    keep("model", *model);
    keep("optimizer", *optimizer);
    keep("baselines", baselines);
    for (const std::string& note : eval.notes()) say(note);
  }

  const Plan& plan() const override { return plan_; }

  std::vector<std::string> begin() override {
    std::vector<std::string> notes;
    if (!config.init.empty()) load_weights(clip_weights(config.init), config.init, notes);
    const std::string& image_tower = config.towers.vision.init;
    if (!image_tower.empty()) start_image_tower(read_weights(image_tower), image_tower, notes);
    return notes;
  }

  /// Of an image model, or of the image tower of another pair.
  void start_image_tower(const StartWeights& start, const std::string& file, std::vector<std::string>& notes) {
    const bool pair = start.layout && start.layout->family == nn::Family::clip;
    for (const std::string& note : start.notes) notes.push_back("[init] " + file + ": " + note);
    load_image_tower(pair ? without_prefix(start.tensors, "visual.") : start.tensors, file, notes,
                     pair ? nullptr : start.layout);
  }

  void load_weights(const TensorMap& weights, const std::string& file, std::vector<std::string>& notes) {
    load_image_tower(without_prefix(weights, "visual."), file, notes);
    TensorMap all = nn::state(*model);
    for (auto& [name, tensor] : all) {
      if (name.starts_with("visual.")) continue;
      check<IoError>(weights.contains(name), "init", "{} has no '{}'", file, name);
      tensor = weights.at(name);
    }
    nn::load_state(*model, all, file);
  }

  void load_image_tower(const TensorMap& weights, const std::string& file, std::vector<std::string>& notes,
                        const nn::Layout* layout = nullptr) {
    const auto tower = build_image_tower(nn::Scope().without_values(), config.towers, config.data.img_size);
    nn::copy_state(*tower, model->visual);
    notes.push_back("[init] weights of " + file);
    for (const std::string& note : nn::load_pretrained(*tower, weights, file, layout))
      notes.push_back("[init] " + file + ": " + note);
    nn::copy_state(model->visual, *tower);
  }

  std::unique_ptr<data::Loader> load(const data::LoaderState& start) override { return train.loader(start); }

  Stats step(const data::Batch& batch, const At& at) override {
    const ag::Autocast precision(parse_dtype(config.precision));
    model->train();
    optimizer->zero_grad();
    const double loss = sweep(batch["images"], batch["tokens"]);
    check_finite("loss", loss, at);
    const double grad_norm = optim::clip_grad_norm(model->parameters(), config.optim.clip_grad);
    check_finite("gradient norm", grad_norm, at);
    optimizer->step(at.lr, at.weight_decay);
    model->clamp_logit_scale();
    return {{"loss", loss}, {"grad_norm", grad_norm}, {"logit_scale", std::exp(model->logit_scale.value().item())}};
  }

  /// Forward and backward of a batch; with parts, the loss and its gradient are those of the whole batch all the same.
  double sweep(const Tensor& images, const Tensor& ids) {
    const int64_t size = images.size(0), micro = std::min(size, config.train.micro_batch.value_or(size));
    const int64_t parts = (size + micro - 1) / micro;
    if (parts == 1) {
      ag::Tape tape;
      const ag::Var loss = loss_of(model->encode_image(images), model->encode_text(ids));
      tape.backward(loss);
      return loss.value().item();
    }
    const auto part = [&](const Tensor& whole, int64_t i) {
      return whole.slice(0, i * micro, std::min(size, (i + 1) * micro));
    };
    const Tensor loss = nn::cached_backward({[&](int64_t i) { return model->encode_image(part(images, i)); },
                                             [&](int64_t i) { return model->encode_text(part(ids, i)); }},
                                            parts, [&](const std::vector<ag::Var>& f) { return loss_of(f[0], f[1]); });
    // open_clip goes back through the whole loss once a part, and so counts its temperature as often.
    if (config.compat == "open_clip")
      for (ag::Parameter* p : {static_cast<ag::Parameter*>(&model->logit_scale), logit_bias()})
        if (p != nullptr) core::scale_(p->grad(), double(parts));
    return loss.item();
  }

  ag::Parameter* logit_bias() { return model->logit_bias ? &*model->logit_bias : nullptr; }

  ag::Var loss_of(const ag::Var& image_features, const ag::Var& text_features) {
    const ag::Var logits = model->logits(image_features, text_features);
    return config.train.loss == "sigmoid" ? nn::sigmoid_loss(logits) : nn::contrastive_loss(logits);
  }

  Evaluation evaluate(const Tick& tick) override {
    const ag::Autocast precision(parse_dtype(config.precision));
    find_baselines(tick);
    Stats stats = evaluate_clip(*model, train.tokenizer(), eval, tick);
    for (const auto& entry : baselines) stats.push_back(entry);
    if (stats.empty()) return {};  // there is nothing to evaluate on
    const double score = stat(stats, eval.classes() ? "zero_shot_top1" : "i2t_r1");
    return {std::move(stats), score};
  }

  TensorMap state() const override {
    TensorMap map = Recipe::state();
    map.emplace("vocabulary", to_tensor(train.tokenizer().vocabulary()));
    return map;
  }

  void load_state(const TensorMap& map) override {
    const data::Vocabulary saved = to_vocabulary(map.at("vocabulary"), "checkpoint");
    check<IoError>(saved.merges() == train.tokenizer().vocabulary().merges(), "checkpoint",
                   "its vocabulary of {} symbols is not the one of now, of {}: text.vocab or the captions have changed",
                   saved.size(), train.tokenizer().vocabulary().size());
    Recipe::load_state(map);
  }

  std::vector<ModelCard> cards() override {
    const int64_t side = config.data.img_size;
    model->eval();
    Tensor ids = zeros({1, model->text.config.context_length}, DType::i64);
    ids.data<int64_t>()[ids.numel() - 1] = train.tokenizer().vocabulary().end_of_text();
    const auto rows = nn::summarize([&] { (*model)(zeros({1, 3, side, side}), ids, nn::Compute::all); });
    return {{.name = {},
             .table = nn::to_table(rows, 2),
             .parameters = model->parameter_count(),
             .flops = 2 * rows.front().macs}};
  }

  Plan make_plan() const {
    const ClipConfig::Train& t = config.train;
    const int64_t steps_per_epoch = train.epoch_size() / t.batch_size;
    check<ConfigError>(steps_per_epoch > 0, "train.batch_size", "{} is more than the {} images of an epoch",
                       t.batch_size, train.epoch_size());
    if (t.loss == "contrastive") {
      check<ConfigError>(t.batch_size > 1, "train.batch_size", "1: a pair alone has nothing to be told from");
      check<ConfigError>(!model->logit_bias, "model.logit_bias", "the contrastive loss does not depend on it");
    }
    const double decay = config.optim.weight_decay;
    return {.name = config.name,
            .seed = uint64_t(config.seed),
            .epochs = t.epochs,
            .steps_per_epoch = steps_per_epoch,
            .batch_size = t.batch_size,
            .lr = build_schedule(config.schedule, config.optim.peak_lr(t.batch_size), t.epochs, steps_per_epoch),
            .weight_decay = [decay](double) { return decay; },
            .eval_every = config.eval.every,
            .checkpoint_every = t.checkpoint_every,
            .log_every = t.log_every};
  }

  /// open_clip's rule of today, or the one that its published runs followed.
  optim::DecayRule decay_rule() const {
    check<ConfigError>(config.optim.layer_decay == 1, "optim.layer_decay", "{}: the two towers share no layers",
                       config.optim.layer_decay);
    if (config.optim.decay_pos_embed) return {.tables = true, .except = {"cls_token"}};
    return optim::timm_decay();
  }

  /// What random weights reach: once a run.
  void find_baselines(const Tick& tick) {
    if (!config.eval.baselines || !baselines.empty() || (!eval.pairs() && !eval.classes())) return;
    const auto untrained = build_clip(nn::Scope(uint64_t(config.seed)), config.clip(), config.data.img_size,
                                      train.tokenizer().vocabulary().size());
    for (const auto& [name, value] : evaluate_clip(*untrained, train.tokenizer(), eval, tick))
      if (name.find("_rank") == std::string::npos) baselines.emplace(name + "_untrained", value);
  }

  const ClipConfig config;
  data::BadFiles bad;
  ClipTrainData train;
  ClipEvalData eval;
  std::unique_ptr<nn::Clip> model;
  std::unique_ptr<optim::Optimizer> optimizer;
  Plan plan_;
  std::map<std::string, double> baselines;
};

}  // namespace

ClipConfig::Pairs::Pairs() {
  crop_scale = {0.9, 1};
  hflip = 0;
  eval_crop = 1;
  mean = {0.48145466, 0.4578275, 0.40821073};
  std = {0.26862954, 0.26130258, 0.27577711};
}

void ClipConfig::Pairs::describe(Fields& f) {
  f("root", root, "where the pairs are: a table of captions with its images, tar shards, HDF5");
  f("train_split", train_split, "the part to train on");
  f("val_split", val_split, "the part to evaluate on");
  f("captions", captions, "kinds of captions to train on, where the table has a column 'kind'; empty: all");
  describe_augmentation(f);
  describe_pixels(f);
  describe_reading(f);
}

ClipConfig::Optim::Optim() {
  lr = 5e-4;
  weight_decay = 0.2;
  betas = {0.9, 0.98};
  eps = 1e-6;
}

void ClipConfig::Optim::describe(Fields& f) {
  OptimConfig::describe(f);
  f("decay_pos_embed", decay_pos_embed, "positions are decayed too, as in OpenAI's model and older runs of open_clip");
}

void ClipConfig::Train::describe(Fields& f) {
  f("loss", loss, "contrastive: CLIP's, among all of the batch; sigmoid: SigLIP's, of each pair by itself",
    one_of({"contrastive", "sigmoid"}));
  f("epochs", epochs, "passes over the training images", at_least(1));
  f("batch_size", batch_size, "pairs that are told apart in a step", at_least(1));
  f("micro_batch", micro_batch,
    "pairs computed at a time, which memory must hold; the gradient is that of the whole batch; null: all",
    at_least(1));
  f("checkpoint_every", checkpoint_every, "steps between checkpoints; 0: at the end of each epoch only", at_least(0));
  f("log_every", log_every, "steps between lines of metrics.jsonl", at_least(1));
}

void ClipConfig::Eval::describe(Fields& f) {
  f("every", every, "epochs between evaluations", at_least(1));
  f("captions", captions, "kinds of captions in retrieval; empty: all");
  f("baselines", baselines, "once a run, the same with random weights");
}

void ClipConfig::ZeroShot::describe(Fields& f) {
  f("root", root, "labelled images to classify; empty: those of data.val_split whose caption is a name");
  f("split", split, "the part of root");
  f("names", names, "file with the name of a class on each line; empty: those of root, or no zero-shot evaluation");
  f("templates", templates, "file with a prompt on each line, {} for the name; empty: the name alone");
}

void ClipConfig::describe(Fields& f) {
  RecipeConfig::describe(f);
  f("init", init, "weights of both towers to start from: safetensors (OpenAI's or open_clip's names), or a run");
  f("compat", compat, "open_clip: the temperature's gradient counts once a micro batch", one_of({"none", "open_clip"}));
  towers.describe(f);
  f("data", data);
  f("optim", optim);
  f("schedule", schedule);
  f("train", train);
  f("eval", eval);
  f("zero_shot", zero_shot);
}

ClipModelConfig ClipConfig::clip() const {
  ClipModelConfig c = towers;
  if (train.loss == "sigmoid") {
    if (!c.model.logit_scale) c.model.logit_scale = std::log(10.0);
    if (!c.model.logit_bias) c.model.logit_bias = -10;
  }
  return c;
}

std::unique_ptr<nn::Backbone> ClipConfig::build_backbone(const nn::Scope& scope, int64_t) const {
  return build_image_tower(scope, towers, data.img_size);
}

Preview ClipConfig::preview(int64_t count) const {
  data::BadFiles bad_files = bad_files_policy(data);
  ClipTrainData pairs(*this, bad_files);
  const auto batch = pairs.loader({})->next();
  check<DataError>(batch.has_value(), "preview", "{} has no images in its part '{}'", data.root, data.train_split);
  const Tensor &images = (*batch)["images"], &ids = (*batch)["tokens"];
  const int64_t end = pairs.tokenizer().vocabulary().end_of_text();
  Preview shown;
  for (int64_t i = 0; i < std::min(count, images.size(0)); ++i) {
    shown.images.push_back(to_image(images.select(0, i), data));
    const Tensor row = ids.select(0, i).contiguous();
    const auto symbols = row.span<int64_t>();
    const auto text = symbols.subspan(1, size_t(std::find(symbols.begin(), symbols.end(), end) - symbols.begin()) - 1);
    shown.captions.push_back(pairs.tokenizer().decode(text));
  }
  return shown;
}

std::unique_ptr<Recipe> ClipConfig::build() const { return std::make_unique<ClipRecipe>(*this); }

}  // namespace vitrail::recipes
