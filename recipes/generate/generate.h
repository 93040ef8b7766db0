// generate(): the tokens that a decoder adds to a prompt.
#pragma once

#include "vitrail/nn/models/llama.h"
#include "vitrail/recipes/generate/sampler.h"

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

struct GenerateOptions {
  int64_t max_tokens = 256;
  Sampling sampling = {};
  std::vector<int64_t> stop_ids = {};  // an answer ends before any of them
};

/// Why an answer ended: at a stop id, at max_tokens, at the end of the context, or because the listener asked for it.
enum class Stop { token, length, context, listener };
/// "stop token", "max tokens", "end of context", "stopped"
std::string_view to_string(Stop stop);

struct Answer {
  std::vector<int64_t> ids;  // without the stop id
  Stop stop = Stop::length;
};

/// The answers to the prompts of a batch, and the time that they took.
struct Generation {
  std::vector<Answer> samples;
  int64_t prompt_tokens = 0;   // read now, padding included, by one sample
  double prefill_seconds = 0;  // until the first token is chosen
  int64_t decoded = 0;         // tokens chosen after that, of all samples
  double decode_seconds = 0;

  /// Tokens of all samples a second: of the prompt, and of the answers.
  double prefill_rate() const;
  double decode_rate() const;
};

/// Called with each token as it is chosen, but not with stop ids. Returns false to end that answer.
using TokenListener = std::function<bool(int64_t sample, int64_t id)>;

/// Goes on from prompts: embeddings [B, T, C] of their tokens (nn::Llama::embed, or those of an image among them) and
/// input, which names padding and prefix. cache: what was read before, such as an image; it then also holds the prompt
/// and the answers, but for the last token of an answer that did not end at a stop id. An answer depends on its own
/// prompt, its place in the batch and the seed, up to rounding.
/// Records no gradients. Computes in bf16 if the weights are bf16, else in the type of ag::Autocast.
/// Throws ConfigError for options that do not fit, ShapeError if the prompt does not fit the context.
Generation generate(nn::Llama& model, const Tensor& embeddings, const nn::LlamaInput& input, nn::KvCache& cache,
                    const GenerateOptions& options, const TokenListener& listener = {});
/// The same for one prompt of ids, without anything before it.
Generation generate(nn::Llama& model, const std::vector<int64_t>& prompt, const GenerateOptions& options,
                    const TokenListener& listener = {});

}  // namespace vitrail::recipes
