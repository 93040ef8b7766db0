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

/// How samples skip a branch: its output is masked, or only a random subset of the samples goes through it.
enum class DropPathMode { mask, subset };

/// Drops a branch for whole samples with probability p (stochastic depth). Shape: x [B, ...] -> [B, ...].
/// Source: Huang et al. 2016 (arXiv:1603.09382); subset: Oquab et al. 2023 (arXiv:2304.07193), section 5.
struct DropPath final : Module<DropPath> {
  DropPath(const Scope& scope, double probability, DropPathMode how = DropPathMode::mask)
      : Module(scope), p(probability), mode(how) {}
  Var forward(const Var& x) { return is_training() ? drop_path(x, p) : x; }

  /// The samples of a batch that go through the branch: i64 [S], S = max(1, floor((1 - p) B)), drawn anew each time.
  /// Undefined if all do: in mode mask, in evaluation, and for p = 0.
  Tensor subset(int64_t batch) const;
  /// x + branch(samples): branch computes the output [S, ...] of the samples that it is given, of all if undefined. In
  /// mode subset the output counts B / S times, and the other samples cost nothing.
  template <class Branch>
  Var add(const Var& x, Branch&& branch) {
    const Tensor samples = subset(x.size(0));
    if (!samples.defined()) return x + (*this)(branch(samples));
    return index_add(x, 0, samples, branch(samples) * (double(x.size(0)) / double(samples.size(0))));
  }

  double p;
  DropPathMode mode;
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
