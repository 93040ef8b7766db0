#include "vitrail/recipes/methods/lm.h"

namespace vitrail::recipes {

LmConfig::LmConfig() {
  optim.weight_decay = 0.1;
  optim.betas = {0.9, 0.95};
  optim.clip_grad = 1;
  schedule.warmup_epochs = 1;
  train.epochs = 10;
  train.batch_size = 32;
}

void LmConfig::Model::describe(Fields& f) {
  f("embed_dim", embed_dim, "width of the tokens", at_least(2));
  f("hidden_dim", hidden_dim, "hidden width of the feed-forward", at_least(1));
  f("depth", depth, "blocks", at_least(1));
  f("num_heads", num_heads, "attention heads", at_least(1));
  f("num_kv_heads", num_kv_heads, "heads of keys and values, which groups of heads share; null: num_heads",
    at_least(1));
  f("rope_theta", rope_theta, "base of the rotary positions' frequencies", positive());
  f("tied", tied, "the table of embeddings also gives the logits");
}

void LmConfig::Data::describe(Fields& f) {
  f("root", root, "a text file, or a folder whose .txt files are read in the order of their names", is_path());
  f("val_root", val_root, "texts to evaluate on; empty: the last val_share of root", is_path());
  f("val_share", val_share, "share of the tokens of root that is held out for evaluation", between(0, 0.9));
  f("tokenizer", tokenizer,
    "tokenizer.json, tokenizer.model or tokenizer.bin, or the folder of a model that has one; the run keeps a copy",
    is_path());
  f("separator", separator, "what stands between the texts of a file; each file begins a new text");
  f("context_length", context_length, "tokens of a block, which a prediction can see at most", at_least(2));
}

void LmConfig::Train::describe(Fields& f) {
  describe_length(f, "blocks a step");
  f("accumulate", accumulate, "micro-batches per step, computed one after the other to save memory", at_least(1));
  f("eval_every", eval_every, "epochs between evaluations", at_least(1));
  describe_records(f);
}

void LmConfig::describe(Fields& f) {
  RecipeConfig::describe(f);
  f("model", model);
  f("data", data);
  f("optim", optim);
  f("schedule", schedule);
  f("train", train);
}

nn::LlamaConfig LmConfig::llama(int64_t vocab_size) const {
  return {.vocab_size = vocab_size,
          .embed_dim = model.embed_dim,
          .hidden_dim = model.hidden_dim,
          .depth = model.depth,
          .num_heads = model.num_heads,
          .num_kv_heads = model.num_kv_heads.value_or(model.num_heads),
          .rope_theta = model.rope_theta,
          .tied = model.tied,
          .context_length = data.context_length};
}

}  // namespace vitrail::recipes
