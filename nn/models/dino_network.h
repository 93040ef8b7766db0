// DinoNetwork: a backbone and DINO's head on crops of several sizes. Student and teacher are two of them.
#pragma once

#include "vitrail/nn/backbone.h"
#include "vitrail/nn/models/dino_head.h"

#include <functional>
#include <memory>
#include <span>

namespace vitrail::nn {

/// Makes a backbone without a classifier in the scope it is given.
using MakeBackbone = std::function<std::unique_ptr<Backbone>(const Scope& scope)>;

/// Shape:  each of crops [n_i B, 3, h_i, w_i], crop by crop (all images of the batch, then the next crop) ->
///         [sum n_i B, K]. The backbone runs once for each size, the head once on all.
/// Source: MultiCropWrapper of DINO; parameter names as in its checkpoints: backbone.*, head.*.
struct DinoNetwork final : Module<DinoNetwork> {
  DinoNetwork(const Scope& scope, const MakeBackbone& make_backbone, const DinoHeadConfig& config)
      : Module(scope), backbone(make_backbone(sub("backbone"))), head(sub("head"), backbone->feature_dim(), config) {}

  Var forward(std::span<const Tensor> crops, Compute compute = Compute::needed) {
    return head(features(crops, compute));
  }

  /// The input of the head: [sum n_i B, feature_dim].
  Var features(std::span<const Tensor> crops, Compute compute = Compute::needed) {
    std::vector<Var> parts;
    for (const Tensor& images : crops) parts.push_back(backbone->features(images, compute));
    return parts.size() == 1 ? parts.front() : ag::concat(parts, 0);
  }

  std::unique_ptr<Backbone> backbone;
  DinoHead head;
};

}  // namespace vitrail::nn
