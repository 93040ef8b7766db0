// Layers that drop values at random in training and do nothing in evaluation.
#pragma once

#include "vitrail/nn/module.h"

namespace vitrail::nn {

/// Zeroes elements with probability p and scales the rest by 1 / (1 - p). Shape: x [...] -> [...].
struct Dropout final : Module<Dropout> {
  Dropout(const Scope& scope, double probability) : Module(scope), p(probability) {}
  Var forward(const Var& x) { return is_training() ? dropout(x, p) : x; }
  double p;
};

/// Drops a branch for whole samples with probability p (stochastic depth). Shape: x [B, ...] -> [B, ...].
/// Source: Huang et al. 2016 (arXiv:1603.09382).
struct DropPath final : Module<DropPath> {
  DropPath(const Scope& scope, double probability) : Module(scope), p(probability) {}
  Var forward(const Var& x) { return is_training() ? drop_path(x, p) : x; }
  double p;
};

/// In training each sample keeps all prefix tokens and max(1, floor((1 - p) N)) of its N patches, drawn anew each time,
/// in random order; add positions before.
/// Shape:  x [B, prefix + N, C] -> [B, prefix + kept, C].
/// Source: Li et al. 2023 (arXiv:2212.00794), as in open_clip.
struct PatchDropout final : Module<PatchDropout> {
  PatchDropout(const Scope& scope, double probability, int64_t prefix_tokens)
      : Module(scope), p(probability), prefix(prefix_tokens) {}
  Var forward(const Var& x);
  double p;
  int64_t prefix;
};

}  // namespace vitrail::nn
