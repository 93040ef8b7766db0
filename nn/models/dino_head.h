// DinoHead: the projection of DINO's student and teacher from features to scores of K prototypes.
#pragma once

#include "vitrail/nn/linear.h"
#include "vitrail/nn/norm.h"
#include "vitrail/nn/weight_norm.h"

namespace vitrail::nn {

struct DinoHeadConfig {
  int64_t out_dim = 65536;  // K
  int64_t hidden_dim = 2048;
  int64_t bottleneck_dim = 256;
  int64_t num_layers = 3;       // of the perceptron before the prototypes
  bool use_bn = false;          // batch normalisation of the hidden layers: for convolutional backbones
  bool norm_last_layer = true;  // the prototypes keep length 1: weight_g is frozen
};

/// A perceptron with GELU (after batch normalisation with use_bn) to the bottleneck, projection to the unit sphere,
/// then a weight-normalised layer. Shape:  x [..., in] -> [..., K], f32 under autocast; [B, in] with use_bn. Throws:
/// ConfigError if num_layers is less than 1. Source: Caron et al. 2021 (arXiv:2104.14294), appendix C; names as in
/// DINO: mlp.0, mlp.2 (with use_bn mlp.0, mlp.1,
///         mlp.3), ..., last_layer.
struct DinoHead final : Module<DinoHead> {
  DinoHead(const Scope& scope, int64_t in, const DinoHeadConfig& config);

  Var forward(const Var& x);

  std::deque<Linear> mlp;
  std::deque<BatchNorm2d> norms;  // of all layers of mlp but the last, or none
  WeightNormLinear last_layer;
};

}  // namespace vitrail::nn
