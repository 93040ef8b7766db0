// Sampler: chooses the next token from a model's logits.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/core/tensor.h"

#include <cstdint>
#include <vector>

namespace vitrail::recipes {

struct Sampling {
  double temperature = 0;  // divides the logits; 0: the likeliest token
  int64_t top_k = 0;       // only the k likeliest tokens, and those equal to the last of them; 0: all
  double top_p = 1;        // only the likeliest tokens whose probabilities reach p together; 1: all
  uint64_t seed = 0;
};

/// The probabilities of the tokens after temperature, top-k and top-p, in that order: logits f32 or f64 [V] -> V
/// numbers, 0 for a token that is left out. With temperature 0, the first likeliest token alone.
/// Throws: ConfigError for a temperature below 0, a negative top_k or a top_p outside (0, 1]; NumericError for logits
///         that are not finite.
/// Source: the rules of Hugging Face transformers. Top-p: Holtzman et al. 2020 (arXiv:1904.09751).
std::vector<double> token_probabilities(const Tensor& logits, const Sampling& sampling);

/// Draws tokens. The same seed and the same logits give the same tokens.
class Sampler {
 public:
  /// stream: tells apart the answers of one batch.
  explicit Sampler(const Sampling& sampling, uint64_t stream = 0)
      : sampling_(sampling), rng_(sampling.seed, "generate", stream) {}

  /// The next token. Throws as token_probabilities().
  int64_t next(const Tensor& logits);

 private:
  Sampling sampling_;
  Rng rng_;
};

}  // namespace vitrail::recipes
