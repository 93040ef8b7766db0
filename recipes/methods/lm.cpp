#include "vitrail/recipes/methods/lm.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/models/start_weights.h"

#include <algorithm>

namespace vitrail::recipes {
namespace {

void describe_model(Fields& f, DecoderSection& model) {
  model.describe(f);
  f("context_length", model.context_length, "positions that the model is made for, if more than data.context_length",
    at_least(0));
}

}  // namespace

LmConfig::LmConfig() {
  model.num_heads = 8;
  model.context_length = 0;
  optim.weight_decay = 0.1;
  optim.betas = {0.9, 0.95};
  optim.clip_grad = 1;
  schedule.warmup_epochs = 1;
  train.epochs = 10;
  train.batch_size = 32;
}

void LmConfig::Data::describe(Fields& f) {
  f("root", root, "a text file, or a folder whose .txt files are read in the order of their names", is_path());
  f("val_root", val_root, "texts to evaluate on; empty: the last val_share of root", is_path());
  f("val_share", val_share, "share of the tokens of root that is held out for evaluation", between(0, 0.9));
  f("tokenizer", tokenizer,
    "tokenizer.json, tokenizer.model or tokenizer.bin, or the folder of a model that has one; empty: that of init; the "
    "run keeps "
    "a copy",
    is_path());
  f("separator", separator, "what stands between the texts of a file; each file begins a new text");
  f("context_length", context_length, "tokens of a block, which a prediction can see at most", at_least(2));
}

void LmConfig::Train::describe(Fields& f) {
  describe_length(f, "blocks a step");
  describe_shards(f);
  f("eval_every", eval_every, "epochs between evaluations", at_least(1));
  describe_records(f);
}

void LmConfig::describe(Fields& f) {
  RecipeConfig::describe(f);
  f("init", init,
    "language model to begin with, its sizes and tokenizer too if they are left out: folder of a Llama or Qwen2, file "
    "of llama2.c, or "
    "a run of this method",
    is_path());
  f("accept_keys", accept_keys, kAcceptKeysHelp);
  f.section("model", [&] { describe_model(f, model); });
  f("data", data);
  f("optim", optim);
  f("schedule", schedule);
  f("train", train);
}

std::vector<std::string> LmConfig::settle(Config& config) {
  if (init.empty() || model.embed_dim) return {};
  DecoderSection sizes;
  sizes.set(open_language_model(init, {.accept_keys = accept_keys}).config.llama);
  Fields fields;
  fields.section("model", [&] { describe_model(fields, sizes); });
  for (const Field& field : fields.list()) {
    const bool kept = config.find(field.key)->is_of_command_line() && field.key != "model.embed_dim";  // that is null
    if (!kept && field.key != "model.checkpoint")
      config.set(field.key + "=" + to_yaml(field), "the weights of " + init);
  }
  return {"[init] sizes of " + init};
}

nn::LlamaConfig LmConfig::llama(int64_t words) const {
  DecoderSection sizes = model;
  sizes.vocab_size = model.vocab_size.value_or(words);
  check<ConfigError>(words <= *sizes.vocab_size, "data.tokenizer",
                     "has {} words, and the model {} rows for them (model.vocab_size)", words, *sizes.vocab_size);
  sizes.context_length = std::max(model.context_length, data.context_length);
  check<ConfigError>(sizes.embed_dim.has_value(), "model.embed_dim",
                     "has no value: init=FOLDER or RUN takes a language model, model.embed_dim=256 begins a new one");
  return sizes.llama();
}

}  // namespace vitrail::recipes
