#include "vitrail/autograd/ops.h"
#include "vitrail/core/error.h"
#include "vitrail/data/load/token_batch.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/summary.h"
#include "vitrail/recipes/methods/lm_data.h"

#include <fmt/format.h>

#include <cmath>

namespace vitrail::recipes {
namespace {

/// Visible in this file only, so all members are public.
struct LmRecipe final : Recipe {
  explicit LmRecipe(const LmConfig& c)
      : config(c),
        texts(c),
        model(nn::Scope(uint64_t(c.seed)), c.llama(texts.tokenizer->size())),
        optimizer(build_optimizer(model, c.optim)),
        plan_(make_plan()) {
    keep("model", model);
    keep("optimizer", *optimizer);
  }

  const Plan& plan() const override { return plan_; }

  std::vector<std::string> begin() override {
    if (config.init.empty()) return {};
    const LanguageModel start =
        open_language_model(config.init, {.dtype = DType::f32, .accept_keys = config.accept_keys});
    std::vector<std::string> notes = {"[init] weights of " + config.init};
    for (const std::string& note : start.notes) notes.push_back("[init] " + config.init + ": " + note);
    nn::load_state(model, nn::state(*start.llama), config.init);
    return notes;
  }

  std::unique_ptr<data::Loader> load(const data::LoaderState& start) override {
    return std::make_unique<data::Loader>(data::TokenBatch(texts.train, config.data.context_length),
                                          data::LoaderOptions{.batch_size = config.train.batch_size,
                                                              .seed = uint64_t(config.seed),
                                                              .shuffle = true,
                                                              .drop_last = true,
                                                              .epochs = plan_.passes(),
                                                              .start = start,
                                                              .shards = shards_of_rank(plan_.shards)});
  }

  Stats step(const data::Batch& batch, const At& at) override { return step_shards(std::span(&batch, 1), at); }

  Stats step_shards(std::span<const data::Batch> shards, const At& at) override {
    model.train();
    model.checkpoint_blocks = config.model.checkpoint;
    optim::Update update(model.parameters(), *optimizer, at, {.max_norm = config.optim.clip_grad});
    const double loss = update.backward(
        shards, [&](const data::Batch& batch) { return loss_of(batch["tokens"], batch["targets"]); })[0];
    const double grad_norm = update.clip().total;
    update.step();
    return {{"loss", loss}, {"grad_norm", grad_norm}};
  }

  /// The mean over all tokens [B, L] of -log p(the next one).
  ag::Var loss_of(const Tensor& tokens, const Tensor& targets) {
    const ag::Var logits = model(tokens);  // [B, L, V]
    return cross_entropy(reshape(logits, {-1, logits.size(2)}), targets.contiguous().reshape({-1}));
  }

  Evaluation evaluate(const Tick& tick) override {
    if (texts.val.empty()) return {};
    model.eval();
    const ag::NoGrad no_grad;
    data::Loader loader(data::TokenBatch(texts.val, config.data.context_length),
                        {.batch_size = config.train.batch_size / plan_.shards});
    double sum = 0;
    int64_t blocks = 0;
    for (int64_t done = 0; const auto batch = loader.next();) {
      sum += double(batch->size()) * loss_of((*batch)["tokens"], (*batch)["targets"]).item();
      blocks += batch->size();
      tick(++done, loader.batches_per_epoch());
    }
    const double loss = sum / double(blocks);
    const auto tokens = double(blocks * config.data.context_length);
    return {{{"loss", loss}, {"perplexity", std::exp(loss)}, {"tokens", tokens}}, std::exp(-loss)};
  }

  TensorMap state() const override {
    TensorMap map = Recipe::state();
    add_language_model(map, decoder(), texts.files);
    return map;
  }

  void load_state(const TensorMap& map) override {
    expect_language_model(map, decoder(), texts.files);
    Recipe::load_state(map);
  }

  std::vector<std::string> headline() const override {
    return {fmt::format("{} tokens to train on, {} to evaluate on; a vocabulary of {}", texts.train.size(),
                        texts.val.size(), model.config.vocab_size),
            "Llama: " + parameters_text(model)};
  }
  /// The geometric mean of the probabilities of the right tokens: 1 / perplexity.
  std::string score_name() const override { return "probability"; }
  std::vector<std::string> next_commands(const std::string& run) const override {
    return {"vitrail generate " + run + " --temperature 0.8", "vitrail convert " + run + " -o mine/"};
  }

  std::vector<ModelCard> cards() override {
    model.eval();
    const auto rows = nn::summarize([&] { model(zeros({1, config.data.context_length}, DType::i64)); });
    return {{.name = "",
             .table = nn::to_table(rows, 1),
             .parameters = model.parameter_count(),
             .flops = 2 * rows.front().macs,
             .sample = fmt::format("a block of {} tokens", config.data.context_length)}};
  }

  DecoderConfig decoder() const {
    return {.model_type = config.model.qkv_bias ? "qwen2" : "llama",
            .llama = model.config,
            .bos = texts.tokenizer->bos(),
            .pad = texts.tokenizer->pad(),
            .eos = texts.tokenizer->eos()};
  }

  Plan make_plan() const {
    const LmConfig::Train& t = config.train;
    const int64_t blocks = (int64_t(texts.train.size()) - 1) / config.data.context_length;
    check<ConfigError>(t.batch_size <= blocks, "train.batch_size", "{} is more than the {} blocks of {} tokens",
                       t.batch_size, blocks, config.data.context_length);
    Plan plan = t.plan(config, blocks, config.optim, config.schedule);
    plan.unit = "tokens";
    plan.units_per_sample = config.data.context_length;
    plan.eval_every = t.eval_every;
    return plan;
  }

  const LmConfig config;
  LmData texts;
  nn::Llama model;
  std::unique_ptr<optim::Optimizer> optimizer;
  Plan plan_;
};

}  // namespace

std::unique_ptr<Recipe> LmConfig::build() const { return std::make_unique<LmRecipe>(*this); }

}  // namespace vitrail::recipes
