// The feed-forward half of a transformer block: Mlp (GELU) and SwiGLU.
#pragma once

#include "vitrail/nn/dropout.h"
#include "vitrail/nn/linear.h"

namespace vitrail::nn {

/// fc2(gelu(fc1(x))). Shape: x [..., dim] -> [..., dim], f32 under autocast for the residual stream.
struct Mlp final : Module<Mlp, Layer> {
  Mlp(const Scope& scope, int64_t dim, int64_t hidden, ag::Gelu gelu_kind = ag::Gelu::erf, double drop = 0)
      : Module(scope),
        fc1(sub("fc1"), dim, hidden),
        fc2(sub("fc2"), hidden, dim),
        dropout(sub("drop"), drop),
        kind(gelu_kind) {}

  Var forward(const Var& x) override { return dropout(fc2(dropout(gelu(fc1(x), kind)), DType::f32)); }

  Linear fc1, fc2;
  Dropout dropout;
  ag::Gelu kind;
};

/// fc2(silu(a) * b) where fc1(x) = [a | b]; hidden is the width of a and of b. DINOv2 calls fc1 w12 and fc2 w3.
/// Shape:  x [..., dim] -> [..., dim], f32 under autocast for the residual stream.
/// Source: Shazeer 2020 (arXiv:2002.05202); timm's SwiGLUPacked.
struct SwiGLU final : Module<SwiGLU, Layer> {
  SwiGLU(const Scope& scope, int64_t dim, int64_t hidden, double drop = 0)
      : Module(scope), fc1(sub("fc1"), dim, 2 * hidden), fc2(sub("fc2"), hidden, dim), dropout(sub("drop"), drop) {}

  Var forward(const Var& x) override { return dropout(fc2(dropout(swiglu(fc1(x))), DType::f32)); }

  Linear fc1, fc2;
  Dropout dropout;
};

/// The width of DINOv2's SwiGLU: two thirds of ratio * dim, rounded up to a multiple of 8.
inline int64_t swiglu_hidden(int64_t dim, double ratio) { return (int64_t(double(dim) * ratio) * 2 / 3 + 7) / 8 * 8; }

}  // namespace vitrail::nn
