#include "vitrail/recipes/generate/generate.h"

#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"

#include <algorithm>
#include <chrono>
#include <optional>

namespace vitrail::recipes {
namespace {

using Clock = std::chrono::steady_clock;

/// The last token of each sample that is not padding: i64 [B].
Tensor last_tokens(const Tensor& mask, int64_t batch, int64_t tokens) {
  Tensor last = full({batch}, double(tokens - 1), DType::i64);
  if (!mask.defined()) return last;
  for (int64_t b = 0; b < batch; ++b) {
    int64_t& at = last.data<int64_t>()[b];
    while (at >= 0 && mask[b][at].item() == 0) --at;
    check<ConfigError>(at >= 0, "generate", "prompt {} is all padding; it needs a token", b);
  }
  return last;
}

/// The state after the last token of each prompt: [B, C].
Tensor read_prompts(nn::Llama& model, const Tensor& embeddings, const nn::LlamaInput& input, nn::KvCache& cache) {
  constexpr int64_t kPiece = 512;  // bounds the memory of a long prompt
  const int64_t batch = embeddings.size(0), tokens = embeddings.size(1);
  const int64_t piece = input.mask.defined() ? tokens : std::max(kPiece, input.prefix);
  Tensor hidden;
  for (int64_t begin = 0; begin < tokens; begin += piece) {
    const int64_t end = std::min(begin + piece, tokens);
    hidden = model.hidden(embeddings.slice(1, begin, end), &cache, input).value();
  }
  const Tensor rows = last_tokens(input.mask, batch, hidden.size(1));
  Tensor last = Tensor::empty({batch, hidden.size(2)}, hidden.dtype());
  for (int64_t b = 0; b < batch; ++b) last[b].copy_(hidden[b][rows.data<int64_t>()[b]]);
  return last;
}

double rate(int64_t tokens, double seconds) { return seconds > 0 ? double(tokens) / seconds : 0; }

}  // namespace

std::string_view to_string(Stop stop) {
  constexpr std::string_view kNames[] = {"stop token", "max tokens", "end of context", "stopped"};
  return kNames[size_t(stop)];
}

double Generation::prefill_rate() const { return rate(prompt_tokens * int64_t(samples.size()), prefill_seconds); }
double Generation::decode_rate() const { return rate(decoded, decode_seconds); }

Generation generate(nn::Llama& model, const Tensor& embeddings, const nn::LlamaInput& input, nn::KvCache& cache,
                    const GenerateOptions& options, const TokenListener& listener) {
  check<ConfigError>(options.max_tokens >= 0, "generate", "max_tokens is {}; it must not be negative",
                     options.max_tokens);
  check<ShapeError>(embeddings.rank() == 3 && embeddings.size(1) > 0, "generate",
                    "embeddings are {}; needs [B, T, C] with at least one token", embeddings.shape());
  const ag::NoGrad no_grad;
  const DType weights = model.embed_tokens.weight.value().dtype();
  const ag::Autocast precision(weights == DType::bf16 ? DType::bf16 : ag::Autocast::dtype());
  const int64_t batch = embeddings.size(0);
  const auto started = Clock::now();

  Generation answers;
  answers.samples.resize(size_t(batch));
  answers.prompt_tokens = embeddings.size(1);
  std::vector<Sampler> samplers;
  for (int64_t b = 0; b < batch; ++b) samplers.emplace_back(options.sampling, uint64_t(b));
  std::vector<bool> done(size_t(batch), false);
  const auto end = [&](int64_t b, Stop stop) {
    answers.samples[size_t(b)].stop = stop;
    done[size_t(b)] = true;
  };

  Tensor state = read_prompts(model, embeddings, input, cache);  // [B, C]
  Tensor next = zeros({batch, 1}, DType::i64);                   // of an answer that has ended: any token
  std::optional<Clock::time_point> first_chosen;
  for (int64_t count = 1; count <= options.max_tokens; ++count) {
    const Tensor logits = model.logits(state).value();  // [B, V]
    for (int64_t b = 0; b < batch; ++b) {
      if (done[size_t(b)]) continue;
      const int64_t id = samplers[size_t(b)].next(logits[b]);
      answers.decoded += first_chosen.has_value();
      if (std::count(options.stop_ids.begin(), options.stop_ids.end(), id) > 0) {
        end(b, Stop::token);
        continue;
      }
      next.data<int64_t>()[b] = id;
      answers.samples[size_t(b)].ids.push_back(id);
      if (listener && !listener(b, id)) end(b, Stop::listener);
    }
    if (!first_chosen) first_chosen = Clock::now();
    const bool all_done = std::find(done.begin(), done.end(), false) == done.end();
    if (all_done || count == options.max_tokens) break;  // the last token need not be read
    if (cache.length() == model.config.context_length) {
      for (int64_t b = 0; b < batch; ++b)
        if (!done[size_t(b)]) end(b, Stop::context);
      break;
    }
    state = model.hidden(model.embed(next), &cache).value().select(1, 0);
  }
  const auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
  const auto finished = Clock::now();
  answers.prefill_seconds = seconds(first_chosen.value_or(finished) - started);
  answers.decode_seconds = seconds(finished - first_chosen.value_or(finished));
  return answers;
}

Generation generate(nn::Llama& model, const std::vector<int64_t>& prompt, const GenerateOptions& options,
                    const TokenListener& listener) {
  check<ConfigError>(!prompt.empty(), "generate", "the prompt has no token; begin with the start of text");
  nn::KvCache cache;
  const ag::NoGrad no_grad;
  const Tensor embeddings = model.embed(tensor(prompt, {1, int64_t(prompt.size())})).value();
  return generate(model, embeddings, {}, cache, options, listener);
}

}  // namespace vitrail::recipes
