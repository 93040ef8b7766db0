// Projector: from the features of an image to the embeddings of a language model.
#pragma once

#include "vitrail/nn/linear.h"

#include <deque>

namespace vitrail::nn {

struct ProjectorConfig {
  int64_t depth = 2;  // Linears, with an activation between them: LLaVA's mlpNx_gelu; 1: linear; 0: identity
  bool bias = true;
  ag::Gelu gelu = ag::Gelu::erf;
};

/// linear_N(gelu(... linear_1(x))). Starts as PyTorch's linear layers.
/// Shape:  x [..., in] -> [..., out], f32 under autocast.
/// Throws: ConfigError if depth is 0 and the widths differ.
/// Source: Liu et al. 2023 (arXiv:2310.03744), 3.3; parameter names as in Hugging Face's LlavaMultiModalProjector.
struct Projector final : Module<Projector, Layer> {
  Projector(const Scope& scope, int64_t in, int64_t out, const ProjectorConfig& config = {});

  Var forward(const Var& x) override;

  std::deque<Linear> linears;  // linear_1, linear_2, ...
  ag::Gelu gelu_kind;
};

}  // namespace vitrail::nn
