#include "vitrail/autograd/ops.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/losses/contrastive.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/summary.h"
#include "vitrail/nn/weights/transfer.h"
#include "vitrail/recipes/eval/clip_features.h"
#include "vitrail/recipes/eval/evaluate.h"
#include "vitrail/recipes/methods/clip.h"
#include "vitrail/recipes/methods/clip_data.h"
#include "vitrail/recipes/methods/clip_eval.h"
#include "vitrail/recipes/models/clip_family.h"
#include "vitrail/recipes/models/peft_adapter.h"
#include "vitrail/recipes/models/start_weights.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace vitrail::recipes {
namespace {

/// The towers with their adapters, if any. A tower that is locked keeps its own as they are, too.
std::unique_ptr<nn::Clip> build_trained_clip(const ClipConfig& c, int64_t vocab_size) {
  auto model = build_clip(nn::Scope(uint64_t(c.seed)), c.clip(), c.data.img_size, vocab_size);
  if (!c.lora.on()) return model;
  check<ConfigError>(c.towers.vision.unlocked_groups == 0 && c.towers.text.unlocked_groups == 0, "unlocked_groups",
                     "with lora.rank everything is locked but the adapters; lora.train names what else is trained");
  std::vector<std::string> locked;
  if (c.towers.vision.lock) locked.emplace_back("visual");
  if (c.towers.text.lock) locked.emplace_back("text");
  c.lora.adapt(*model, locked);
  return model;
}

/// Visible in this file only, so all members are public. They have the names of the papers.
struct ClipRecipe final : Recipe {
  explicit ClipRecipe(const ClipConfig& c)
      : config(c),
        bad(bad_files_policy(c.data)),
        train(c, bad),
        eval(c, bad),
        model(build_trained_clip(c, train.tokenizer().vocabulary().size())),
        optimizer(build_optimizer(*model, c.optim, decay_rule())),
        plan_(make_plan()) {
    keep("model", *model);
    keep("optimizer", *optimizer);
    keep("baselines", baselines);
    for (const std::string& note : train.notes()) say(note);
    for (const std::string& note : eval.notes()) say(note);
  }

  const Plan& plan() const override { return plan_; }

  std::vector<std::string> begin() override {
    std::vector<std::string> notes;
    // Weights that are read have no adapters, so they go into a model that has none either.
    const auto plain = config.lora.on() ? build_clip(nn::Scope(uint64_t(config.seed)), config.clip(),
                                                     config.data.img_size, train.tokenizer().vocabulary().size())
                                        : nullptr;
    nn::Clip& towers = plain ? *plain : *model;
    if (!config.init.empty())
      load_weights(towers, read_clip_weights(config.init, config.accept_keys), config.init, notes);
    const std::string& image_tower = config.towers.vision.init;
    if (!image_tower.empty())
      start_image_tower(towers, read_weights(image_tower, config.accept_keys), image_tower, notes);
    if (plain) nn::load_state(*model, nn::state(*plain), "init", nn::Strict::no);
    if (!config.lora.init.empty()) load_adapter(*model, config.lora.init, config.accept_keys, notes);
    return notes;
  }

  /// Loads the image tower from an image model or from the image tower of another pair.
  void start_image_tower(nn::Clip& towers, const StartWeights& start, const std::string& file,
                         std::vector<std::string>& notes) const {
    const bool pair = start.layout && start.layout->family == nn::Family::clip;
    note(start, file, notes);
    load_image_tower(towers, pair ? without_prefix(start.tensors, "visual.") : start.tensors, file, notes,
                     pair ? nullptr : start.layout);
  }

  /// Adds notes: tensors that were left out, and settings in which the model of the weights differs.
  void note(const StartWeights& start, const std::string& file, std::vector<std::string>& notes) const {
    for (const std::string& text : start.notes) notes.push_back("[init] " + file + ": " + text);
    for (const std::string& text : differences(model->visual.config, start.unwritten))
      notes.push_back("[init] " + file + ": " + text);
  }

  void load_weights(nn::Clip& towers, const StartWeights& start, const std::string& file,
                    std::vector<std::string>& notes) const {
    TensorMap weights = start.tensors;
    note(start, file, notes);
    load_image_tower(towers, without_prefix(weights, "visual."), file, notes);
    fit_context(weights, file, notes);
    TensorMap all = nn::state(towers);
    for (auto& [name, tensor] : all) {
      if (name.starts_with("visual.")) continue;
      check<IoError>(weights.contains(name), "init", "{} has no '{}'", file, name);
      tensor = weights.at(name);
    }
    nn::load_state(towers, all, file);
  }

  /// Takes the first positions of texts if the recipe has fewer. Attention is causal and a feature is read at the end
  /// of a text, so texts that fit keep their features. Throws IoError if the recipe has more: those would be untrained.
  void fit_context(TensorMap& weights, const std::string& file, std::vector<std::string>& notes) const {
    const auto found = weights.find("text.pos_embed");
    if (found == weights.end() || found->second.rank() != 2) return;  // load_state() throws
    const int64_t theirs = found->second.size(0), ours = config.towers.text.context_length;
    check<IoError>(ours <= theirs, "init",
                   "text.context_length is {}, but {} has trained {} positions of texts, and none for the others: "
                   "text.context_length={} or less",
                   ours, file, theirs, theirs);
    if (ours == theirs) return;
    found->second = found->second.slice(0, 0, ours);
    notes.push_back("[init] " + file + ": the first " + std::to_string(ours) + " of its " + std::to_string(theirs) +
                    " positions of texts are taken, for text.context_length " + std::to_string(ours));
  }

  void load_image_tower(nn::Clip& towers, const TensorMap& weights, const std::string& file,
                        std::vector<std::string>& notes, const nn::Layout* layout = nullptr) const {
    const auto tower = build_image_tower(nn::Scope().without_values(), config.towers, config.data.img_size);
    nn::copy_state(*tower, towers.visual);
    notes.push_back("[init] weights of " + file);
    for (const std::string& note : nn::load_pretrained(*tower, weights, file, layout))
      notes.push_back("[init] " + file + ": " + note);
    nn::copy_state(towers.visual, *tower);
  }

  std::unique_ptr<data::Loader> load(const data::LoaderState& start) override {
    return train.loader(start, plan_.passes());
  }

  Stats step(const data::Batch& batch, const At& at) override {
    model->train();
    optim::Update update(model->parameters(), *optimizer, at, {.max_norm = config.optim.clip_grad});
    const double loss = backward(update, batch["images"], batch["tokens"]);
    const double grad_norm = update.clip().total;
    update.step();
    model->clamp_logit_scale();
    return {{"loss", loss}, {"grad_norm", grad_norm}, {"logit_scale", std::exp(model->logit_scale.value().item())}};
  }

  /// The loss and its gradient are those of the whole batch, however many parts compute it.
  double backward(optim::Update& update, const Tensor& images, const Tensor& ids) {
    const int64_t size = images.size(0), micro = std::min(size, config.train.micro_batch.value_or(size));
    const int64_t parts = (size + micro - 1) / micro;
    if (parts == 1)
      return update.backward([&] { return loss_of(model->encode_image(images), model->encode_text(ids)); });
    const auto part = [&](const Tensor& whole, int64_t i) {
      return whole.slice(0, i * micro, std::min(size, (i + 1) * micro));
    };
    const double loss = update.backward_with([&] {
      return nn::cached_backward({[&](int64_t i) { return model->encode_image(part(images, i)); },
                                  [&](int64_t i) { return model->encode_text(part(ids, i)); }},
                                 parts, [&](const std::vector<ag::Var>& f) { return loss_of(f[0], f[1]); })
          .item();
    });
    // open_clip sweeps the whole loss once for each part, and so counts its temperature as often.
    if (config.compat == ClipConfig::Compat::open_clip)
      for (ag::Parameter* p : {static_cast<ag::Parameter*>(&model->logit_scale), logit_bias()})
        if (p != nullptr && p->requires_grad()) core::scale_(p->grad(), double(parts));
    return loss;
  }

  ag::Parameter* logit_bias() { return model->logit_bias ? &*model->logit_bias : nullptr; }

  ag::Var loss_of(const ag::Var& image_features, const ag::Var& text_features) {
    const ag::Var logits = model->logits(image_features, text_features);
    return config.train.loss == ClipConfig::Loss::sigmoid ? nn::sigmoid_loss(logits) : nn::contrastive_loss(logits);
  }

  Evaluation evaluate(const Tick& tick) override {
    find_baselines(tick);
    Stats stats = evaluate_clip(image_features(*model), text_features(*model, train.tokenizer()), eval, tick);
    for (const auto& entry : baselines) stats.push_back(entry);
    if (stats.empty()) return {};  // there is nothing to evaluate on
    if (eval.pairs())
      if (const std::string note = left_out_note(eval.pairs()->images->size(), int64_t(stat(stats, "images")));
          !note.empty())
        say(note);
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

  std::vector<std::string> headline() const override {
    const int64_t pairs = eval.pairs() ? eval.pairs()->images->size() : 0;
    return {parts_text(config.data, train.size(), 0, pairs) + ", with captions",
            config.towers.model.arch + ": " + parameters_text(*model)};
  }
  std::string score_name() const override { return eval.classes() ? "zero_shot_top1" : "i2t_r1"; }
  std::vector<std::string> next_commands(const std::string& run) const override {
    return {"vitrail zero-shot photo.jpg -m " + run + " --labels \"a cat\" \"a dog\"", "vitrail retrieval " + run};
  }

  std::vector<ModelCard> cards() override {
    const int64_t side = config.data.img_size;
    model->eval();
    Tensor ids = zeros({1, model->text.config.context_length}, DType::i64);
    ids.data<int64_t>()[ids.numel() - 1] = train.tokenizer().vocabulary().end_of_text();
    const auto image = nn::summarize([&] { model->visual(zeros({1, 3, side, side}), nn::Compute::all); });
    const auto text = nn::summarize([&] { model->text(ids, nn::Compute::all); });
    return {{.name = "image tower",
             .table = nn::to_table(image, 1),
             .parameters = model->visual.parameter_count(),
             .flops = 2 * image.front().macs},
            {.name = "text tower",
             .table = nn::to_table(text, 1),
             .parameters = model->text.parameter_count(),
             .flops = 2 * text.front().macs,
             .sample = "a text"}};
  }

  Plan make_plan() const {
    const ClipConfig::Train& t = config.train;
    if (t.loss == ClipConfig::Loss::contrastive) {
      check<ConfigError>(t.batch_size > 1, "train.batch_size", "1: the contrastive loss compares at least two pairs");
      check<ConfigError>(!model->logit_bias, "model.logit_bias", "the contrastive loss does not depend on it");
    }
    Plan plan = t.plan(config, train.epoch_size(), config.optim, config.schedule);
    plan.unit = "pairs";
    plan.eval_every = config.eval.every;
    return plan;
  }

  /// open_clip's current rule, or with decay_pos_embed the rule of its published runs.
  optim::DecayRule decay_rule() const {
    check<ConfigError>(config.optim.layer_decay == 1, "optim.layer_decay", "{}: the two towers share no layers",
                       config.optim.layer_decay);
    if (config.decay_pos_embed) return {.tables = true, .except = {"cls_token"}};
    return optim::timm_decay();
  }

  /// The scores of random weights, once a run.
  void find_baselines(const Tick& tick) {
    if (!config.eval.baselines || !baselines.empty() || (!eval.pairs() && !eval.classes())) return;
    const auto untrained = build_clip(nn::Scope(uint64_t(config.seed)), config.clip(), config.data.img_size,
                                      train.tokenizer().vocabulary().size());
    for (const auto& [name, value] :
         evaluate_clip(image_features(*untrained), text_features(*untrained, train.tokenizer()), eval, tick))
      if (name.find("_rank") == std::string::npos && !name.ends_with("images"))
        baselines.emplace(name + "_untrained", value);
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

Preview ClipConfig::preview(int64_t count) const {
  data::BadFiles bad_files = bad_files_policy(data);
  ClipTrainData pairs(*this, bad_files);
  const auto batch = pairs.loader({})->next();
  check<DataError>(batch.has_value(), "preview", "{} has no images in its part '{}'", place_of(data), data.train_split);
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

std::unique_ptr<Recipe> ClipConfig::build() const {
  lora.check_use(init.empty() ? towers.vision.init : init, precision);
  return std::make_unique<ClipRecipe>(*this);
}

}  // namespace vitrail::recipes
