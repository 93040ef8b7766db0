#include "vitrail/autograd/ops.h"
#include "vitrail/core/comm/comm.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/data/load/conversation_batch.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/optim/param_groups.h"
#include "vitrail/recipes/build/freeze.h"
#include "vitrail/recipes/eval/feature_cache.h"
#include "vitrail/recipes/methods/llava.h"
#include "vitrail/recipes/methods/llava_answer.h"
#include "vitrail/recipes/methods/llava_data.h"
#include "vitrail/recipes/methods/llava_eval.h"
#include "vitrail/recipes/methods/llava_start.h"
#include "vitrail/recipes/run/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

namespace vitrail::recipes {
namespace {

/// Visible in this file only, so all members are public. They have the names of the papers.
struct LlavaRecipe final : Recipe {
  explicit LlavaRecipe(const LlavaConfig& c)
      : config(c),
        bad(bad_files_policy(c.data)),
        words_files(tokenizer_files(c)),
        tokenizer(open_tokenizer(words_files)),
        model(std::make_unique<nn::Llava>(nn::Scope(uint64_t(c.seed)), c.llava())),
        words{*tokenizer, data::prompt_template(c.template_name()), model->config.image_tokens()},
        train(config, words, bad) {
    check<ConfigError>(tokenizer->size() <= model->config.text.vocab_size, "decoder.tokenizer",
                       "has {} words, and the decoder {} rows for them (decoder.vocab_size)", tokenizer->size(),
                       model->config.text.vocab_size);
    check_cache();
    freeze_parts();
    optimizer = build_optimizer(groups(), c.optim, optim::LarsRule::timm);
    plan_ = make_plan();
    keep("model", *model);
    keep("optimizer", *optimizer);
    for (const std::string& note : train.notes()) say(note);
    if (const int64_t read = model->config.vision.img_size; read < config.data.img_size)
      say(fmt::format("images have {} pixels a side, of which {} fill patches; the others are not read",
                      config.data.img_size, read));
    open_eval();
  }

  const Plan& plan() const override { return plan_; }
  std::vector<std::string> begin() override { return load_llava_start(*model, config); }
  std::unique_ptr<data::Loader> load(const data::LoaderState& start) override {
    if (!config.cache_features.empty()) open_cache();
    return train.loader(start, plan_.passes(), !cache, shards_of_rank(plan_.shards));
  }

  /// The tower has its weights now.
  void open_cache() {
    const Preprocessing pixels = eval_preprocessing(config.data);
    const data::Dataset& images = train.images();
    const LlavaModelConfig::Tower& tower = config.model.tower;
    const std::string read =
        fmt::format("layers {}, norm {}, full {}, shuffle {}", fmt::join(tower.feature_layer, " "), tower.feature_norm,
                    tower.select == nn::FeatureSelect::full, tower.pixel_shuffle);
    const ag::NoGrad no_grad;
    model->eval();
    cache.emplace(
        config.cache_features, feature_key(read, *model->vision_tower, pixels, images), images.size(),
        [&](const Tensor& batch) { return model->features(batch).value(); },
        [&] { return eval_loader(config.data, images, std::min(config.eval.batch_size, images.size()), bad); },
        [](int64_t, int64_t) {});
  }

  /// With a cache, images are not augmented, and the tower stays as it is.
  void check_cache() const {
    if (config.cache_features.empty()) return;
    check<ConfigError>(model->vision_tower && !config.trains(LlavaPart::tower), "data.cache_features",
                       "needs a tower that is not trained (train.parts)");
    const DataConfig& d = config.data;
    const bool jitters = std::ranges::any_of(d.color_jitter, [](double most) { return most > 0; });
    check<ConfigError>(d.crop == TrainCrop::none && d.hflip == 0 && d.vflip == 0 && !d.auto_augment && !jitters &&
                           d.random_erasing == 0,
                       "data.cache_features",
                       "needs images without augmentation: data.crop=none data.hflip=0, and no "
                       "vflip, auto_augment, color_jitter or random_erasing");
  }

  /// The conversations of a batch, and the images that they are about.
  struct Part {
    nn::Splice splice;
    Tensor seen;                  // [U, 3, H, W], each image once, or its features [U, N, F]; undefined without images
    std::vector<int64_t> images;  // of each conversation the row in seen, or negative
  };

  Part part_of(const data::Batch& batch) const {
    check<DataError>(batch.size() > 0, "data", "all conversations of a shard are about broken images");
    std::vector<nn::LabelledText> texts;
    for (data::LabelledIds& talk : data::conversations_of(batch))
      texts.push_back({std::move(talk.ids), std::move(talk.labels)});
    const auto image = batch["image"].span<int64_t>(), numbers = batch["numbers"].span<int64_t>();
    Part part{.splice = model->splice(texts), .seen = {}, .images = {image.begin(), image.end()}};
    if (!numbers.empty()) part.seen = cache ? cache->rows({numbers.begin(), numbers.end()}) : batch["images"];
    return part;
  }

  ag::Var loss_of(const Part& part) {
    ag::Var images;
    if (part.seen.defined()) {
      const ag::Var features = cache ? ag::Var(part.seen) : model->features(part.seen);
      images = images_in_order(model->project(features), part.images);
    }
    return model->loss(part.splice, images);
  }

  Stats step(const data::Batch& batch, const At& at) override { return step_shards(std::span(&batch, 1), at); }

  Stats step_shards(std::span<const data::Batch> shards, const At& at) override {
    set_training();
    std::vector<Part> parts;
    std::vector<double> shares;  // of the tokens of the whole batch
    double tokens = 0;
    for (const data::Batch& batch : shards) {
      parts.push_back(part_of(batch));
      shares.push_back(double(parts.back().splice.supervised()));
      tokens += shares.back();
    }
    double all_tokens = 0;
    for (const double of_rank : gather_values(tokens)) all_tokens += of_rank;
    for (double& share : shares) share /= all_tokens;
    optim::Update update(trained_parameters(*model), *optimizer, at, {.max_norm = config.optim.clip_grad});
    const double loss = update.backward(
        parts, [&](const Part& part) { return loss_of(part); }, shares)[0];
    const double grad_norm = update.clip().total;
    update.step();
    return {{"loss", loss}, {"grad_norm", grad_norm}};
  }

  Evaluation evaluate(const Tick& tick) override {
    if (!eval) return {};
    const LlavaScores scores = evaluate_llava(*model, words, *eval, config, eval_preprocessing(config.data), bad, tick);
    if (scores.left_out > 0)
      say(fmt::format("{} of {} conversations are about broken images and left out", scores.left_out,
                      eval->talks.size()));
    return {scores.stats(), scores.score()};
  }

  TensorMap state() const override {
    TensorMap map = Recipe::state();
    add_map(map, "tokenizer", to_tensors(words_files));
    return map;
  }
  void load_state(const TensorMap& map) override {
    check<IoError>(to_tokenizer_files(sub_map(map, "tokenizer")) == words_files, "checkpoint",
                   "its tokenizer is not the one of now: decoder.tokenizer has changed");
    Recipe::load_state(map);
  }

  std::vector<std::string> headline() const override {
    const int64_t asked = eval ? eval->talks.size() : 0;
    return {fmt::format("{} about {} to train on, {} to evaluate on, from {}", several(train.size(), "conversation"),
                        several(train.images().size(), "image"), asked > 0 ? several(asked, "conversation") : "none",
                        place_of(config.data)),
            fmt::format("llava: {}; {} tokens an image", parameters_text(*model), model->config.image_tokens())};
  }
  std::string score_name() const override {
    if (!words.form.captions) return config.eval.answers ? "accuracy" : "-loss";
    return config.eval.ranked > 0 ? "ranked_first" : "-loss";
  }
  std::vector<std::string> next_commands(const std::string& run) const override {
    if (words.form.captions) return {"vitrail caption " + run + " photo.jpg", "vitrail eval " + run};
    return {"vitrail chat " + run + " photo.jpg", "vitrail eval " + run};
  }

  void freeze_parts() {
    if (!config.trains(LlavaPart::tower) && model->vision_tower) model->vision_tower->freeze();
    if (!config.trains(LlavaPart::decoder)) model->language_model.freeze();
    if (config.lora.on()) config.lora.adapt(model->language_model, {});
    if (config.trains(LlavaPart::projector)) return;
    model->projector.freeze();
    if (model->patch_embed) model->patch_embed->freeze();
    if (model->row_end) model->row_end->set_requires_grad(false);
  }

  void set_training() {
    model->train();
    if (!config.trains(LlavaPart::tower) && model->vision_tower) model->vision_tower->eval();
    if (model->vision_tower) model->vision_tower->checkpoint_blocks = config.model.tower.vit.checkpoint;
    model->language_model.checkpoint_blocks = config.model.decoder.checkpoint;
  }

  /// Decayed and not decayed parameters, those of the projector with a rate of their own.
  std::vector<optim::ParamGroup> groups() const {
    check<ConfigError>(config.optim.layer_decay == 1, "optim.layer_decay", "{}: tower and decoder share no layers",
                       config.optim.layer_decay);
    std::vector<ag::Parameter*> projector, others;
    for (ag::Parameter* p : trained_parameters(*model))
      (p->name().starts_with("projector.") ? projector : others).push_back(p);
    check<ConfigError>(!projector.empty() || !others.empty(), "train.parts", "nothing is trained");
    std::vector<optim::ParamGroup> result = optim::decay_groups(others);
    for (optim::ParamGroup& group : optim::decay_groups(projector)) {
      if (config.projector_lr) group.lr_scale = *config.projector_lr / config.optim.lr;
      result.push_back(std::move(group));
    }
    std::erase_if(result, [](const optim::ParamGroup& group) { return group.parameters.empty(); });
    return result;
  }

  Plan make_plan() const {
    Plan plan = config.train.plan(config, train.size(), config.optim, config.schedule);
    plan.unit = "conversations";
    plan.eval_every = config.eval.every;
    return plan;
  }

  /// A part that is not there is a note, unless its place is named.
  void open_eval() {
    try {
      eval = open_eval_talks(config);
    } catch (const DataError& error) {
      if (!config.data.val_root.empty()) throw;
      say(fmt::format("nothing is evaluated: {}", error.what()));
    }
  }

  const LlavaConfig config;
  data::BadFiles bad;
  TokenizerFiles words_files;
  std::shared_ptr<const data::LanguageTokenizer> tokenizer;
  std::unique_ptr<nn::Llava> model;
  LlavaWords words;
  LlavaTrainData train;
  std::optional<LlavaEvalData> eval;
  std::unique_ptr<optim::Optimizer> optimizer;
  Plan plan_;
  std::optional<FeatureCache> cache;
};

}  // namespace

Preview LlavaConfig::preview(int64_t count) const {
  data::BadFiles bad_files = bad_files_policy(data);
  const auto tokenizer = open_tokenizer(tokenizer_files(*this));
  const data::PromptTemplate& form = data::prompt_template(template_name());
  LlavaTrainData talks(*this, {*tokenizer, form, llava().image_tokens()}, bad_files);
  const auto batch = talks.loader({})->next();
  check<DataError>(batch.has_value(), "preview", "{} has no conversations in its part '{}'", data.root,
                   data.train_split);
  Preview shown;
  const auto image = (*batch)["image"].span<int64_t>();
  for (size_t i = 0; i < image.size() && int64_t(shown.images.size()) < count; ++i) {
    if (image[i] < 0) continue;
    shown.images.push_back(to_image((*batch)["images"].select(0, image[i]), data));
    shown.captions.push_back(data::to_prompt(talks.conversation(batch->indices[i]), form));
  }
  return shown;
}

std::unique_ptr<Recipe> LlavaConfig::build() const {
  lora.check_use(init.empty() ? model.decoder.init : init, precision);
  check<ConfigError>(!lora.on() || trains(LlavaPart::decoder), "lora.rank",
                     "{}: adapters are of the decoder, which is not trained: add it to train.parts, or set "
                     "stage=instruct",
                     lora.rank);
  return std::make_unique<LlavaRecipe>(*this);
}

}  // namespace vitrail::recipes
