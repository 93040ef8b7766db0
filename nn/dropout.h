// Layers that do something at random in training and nothing in evaluation.
#pragma once

#include "module.h"

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

}  // namespace vitrail::nn
