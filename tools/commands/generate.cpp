// vitrail generate: a language model goes on from a text.
#include "vitrail/recipes/generate/generate.h"

#include "tools/commands/commands.h"
#include "tools/commands/model_notes.h"
#include "tools/commands/published_arguments.h"
#include "tools/json_text.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/autograd/tape.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/recipes/generate/answer_text.h"
#include "vitrail/recipes/models/language_model.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

struct Options {
  std::string model, tokenizer, prompt, precision, logits;
  std::vector<int64_t> prompt_ids;
  int64_t max_tokens = 256, top_k = 0;
  double temperature = 0, top_p = 1;
  uint64_t seed = 0;
  std::vector<std::string> stops;
  bool json = false;
  PublishedArguments published;
};

/// The tokenizer that is given, or the one beside the weights. Null if there is none and ids stand for the prompt.
std::shared_ptr<const data::LanguageTokenizer> find_tokenizer(const Options& o, const LanguageModel& model) {
  if (!o.tokenizer.empty()) return data::open_language_tokenizer(o.tokenizer);
  if (auto tokenizer = model.tokenizer()) return tokenizer;
  check<ConfigError>(!o.prompt_ids.empty(), "generate",
                     "{}: no tokenizer.json, tokenizer.model or tokenizer.bin is beside it; give one by --tokenizer "
                     "FILE, or the prompt as --prompt-ids",
                     model.source.string());
  return nullptr;
}

/// The tokens before the answer: the start of a text, if the model expects one, and the prompt.
std::vector<int64_t> prompt_tokens(const Options& o, const data::LanguageTokenizer* tokenizer, int64_t words) {
  std::vector<int64_t> ids = o.prompt_ids;
  if (ids.empty()) {
    if (const auto bos = tokenizer->bos()) ids.push_back(*bos);
    const std::vector<int64_t> text = tokenizer->encode(o.prompt);
    ids.insert(ids.end(), text.begin(), text.end());
    check<ConfigError>(!ids.empty(), "generate", "this model has no start of text; give a --prompt");
  }
  for (const int64_t id : ids)
    check<ConfigError>(0 <= id && id < words, "generate", "the prompt has the id {}; the model has ids 0 to {}", id,
                       words - 1);
  return ids;
}

/// Writes the logits of each token of the prompt: [T, V].
void write_logits(const std::string& file, nn::Llama& llama, const std::vector<int64_t>& prompt, DType dtype) {
  const ag::NoGrad no_grad;
  const ag::Autocast precision(dtype);
  const Tensor logits = llama(tensor(prompt, {1, int64_t(prompt.size())})).value();
  safetensors::save(file, {{"logits", logits[0]}});
}

void generate_text(const Options& o) {
  LanguageModelOptions opening{.accept_keys = o.published.accept_keys, .base = o.published.base};
  opening.int8 = o.precision == "int8";
  if (!opening.int8 && !o.precision.empty()) opening.dtype = parse_dtype(o.precision);
  const LanguageModel model = open_language_model(o.model, opening);
  print_notes(o.model, model.notes);
  const auto tokenizer = find_tokenizer(o, model);
  const std::vector<int64_t> prompt = prompt_tokens(o, tokenizer.get(), model.config.llama.vocab_size);
  if (!o.logits.empty()) write_logits(o.logits, *model.llama, prompt, model.dtype());

  GenerateOptions options{
      .max_tokens = o.max_tokens,
      .sampling = {.temperature = o.temperature, .top_k = o.top_k, .top_p = o.top_p, .seed = o.seed},
      .stop_ids = model.config.eos};
  std::optional<AnswerText> answer;
  if (tokenizer) {
    const std::vector<int64_t> more = tokenizer->eos();
    options.stop_ids.insert(options.stop_ids.end(), more.begin(), more.end());
    answer.emplace(*tokenizer, o.stops, /*continues=*/!o.prompt.empty());
  }
  check<ConfigError>(tokenizer || o.stops.empty(), "generate",
                     "--stop needs a tokenizer; give one by --tokenizer FILE");
  std::string text;
  const auto show = [&](const std::string& piece) {
    text += piece;
    if (o.json) return;
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
  };
  if (!o.json) fmt::print("{}", o.prompt);
  const Generation answers = generate(*model.llama, prompt, options, [&](int64_t, int64_t id) {
    if (!answer) return true;
    show(answer->add(id));
    return !answer->stopped();
  });
  if (answer) show(answer->finish());

  const Answer& found = answers.samples[0];
  if (o.json) {
    nlohmann::ordered_json result = {{"prompt", o.prompt}, {"prompt_ids", prompt}};
    if (tokenizer) result["text"] = text;
    result["ids"] = found.ids;
    result["stop"] = answer && answer->stopped() ? "stop string" : std::string(to_string(found.stop));
    result["prefill_seconds"] = answers.prefill_seconds;
    result["prefill_tokens_per_second"] = answers.prefill_rate();
    result["tokens_per_second"] = answers.decode_rate();
    fmt::print("{}\n", json_text(result));
    return;
  }
  if (!tokenizer) fmt::print("{}", fmt::join(found.ids, " "));
  fmt::print("\n");
  std::fflush(stdout);
  fmt::print(stderr, "prompt: {} tokens in {:.3g} s; answer: {} tokens at {:.3g}/s\n", prompt.size(),
             answers.prefill_seconds, found.ids.size(), answers.decode_rate());
}

}  // namespace

void add_generate(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command = program.command("generate", "Lets a language model go on from a text.");
  command
      .option(
          "model", o->model,
          "folder of a Llama, Qwen2 or Mistral (Hugging Face) or of an adapter for one (PEFT), .bin file of llama2.c, "
          "or run of the recipe lm")
      .required();
  const Option prompt = command.option("-p,--prompt", o->prompt, "text to go on from; by default a new text");
  command.option("--prompt-ids", o->prompt_ids, "the prompt as ids, with the start of text; needs no tokenizer")
      .excludes(prompt);
  command.option("--tokenizer", o->tokenizer,
                 "tokenizer.json, tokenizer.model or tokenizer.bin, if not beside the weights");
  command.option("-n,--max-tokens", o->max_tokens, "tokens to add at most").range(0, int64_t{1} << 24);
  command.option("--temperature", o->temperature, "divides the logits; 0: always the likeliest token");
  command.option("--top-k", o->top_k, "draw from the k likeliest tokens; 0: all").range(0, int64_t{1} << 24);
  command.option("--top-p", o->top_p, "draw from the likeliest tokens that reach this probability together").fraction();
  command.option("--seed", o->seed, "of the draws: the same seed gives the same text");
  command.option("--stop", o->stops, "end before this text; may be repeated").one_each();
  command
      .option("--precision", o->precision,
              "type of the weights; by default that of the file, f16 as f32; int8: made while opening, nearly twice "
              "bf16's speed")
      .choices({"f32", "bf16", "int8"});
  command.option("--logits", o->logits,
                 "also write the logits of the prompt's tokens [T, V] to this .safetensors file");
  command.flag("--json", o->json, "print JSON: text, ids, why it ended, and tokens a second");
  o->published.add_to(command);
  command.example("vitrail generate tinyllama/ -p 'Once upon a time' --temperature 0.8 --top-p 0.95");
  command.action([o] { generate_text(*o); });
}

}  // namespace vitrail::tools
