// PatchEmbed: an image as a sequence of embedded patches.
#pragma once

#include "vitrail/nn/conv.h"

namespace vitrail::nn {

/// A convolution with kernel = stride = patch_size, computed as one matrix product of the patches.
/// Shape:  images [B, in_chans, H, W] -> [B, H/P * W/P, embed_dim], row by row; f32 under autocast.
/// Throws: ShapeError if H or W is not a multiple of patch_size.
/// Source: Dosovitskiy et al. 2021 (arXiv:2010.11929), eq. 1.
struct PatchEmbed final : Module<PatchEmbed> {
  PatchEmbed(const Scope& scope, int64_t patch, int64_t in_chans, int64_t embed_dim, bool bias = true)
      : Module(scope),
        proj(sub("proj"), in_chans, embed_dim, {.kernel = patch, .stride = patch, .bias = bias}),
        patch_size(patch) {}

  Var forward(const Var& images) {
    const Var weight = reshape(proj.weight, {proj.weight.shape()[0], -1});  // [C, in_chans * P * P]
    return linear(patchify(images, patch_size), weight, proj.bias ? Var(*proj.bias) : Var(), DType::f32);
  }

  Conv2d proj;
  int64_t patch_size;
};

}  // namespace vitrail::nn
