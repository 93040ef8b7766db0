// Windowed attention: a patch sees the patches of its own window instead of the whole image.
#pragma once

#include "vitrail/core/ops/attention.h"
#include "vitrail/core/ops/image.h"

namespace vitrail::core {

/// A sequence of tokens: `prefix` tokens without a place (class token, registers), then the patches of a grid, row by
/// row. Windows of side * side patches cut the grid from its top left. The windows at the right and at the bottom have
/// the patches that are left; nothing is padded.
struct Windows {
  int64_t prefix = 0;
  Grid grid = {};
  int64_t side = 0;

  /// Prefix tokens and patches together.
  int64_t tokens() const { return prefix + grid.height * grid.width; }
};

/// Attention in which prefix tokens see all tokens, and a patch sees the prefix tokens and the patches of its window:
/// attention() with window_mask(), in time and memory linear in the number of patches.
/// Shape:  q, k and v [B, H, T, D] in any strides with dense rows -> y [B, T, H * D]; T = windows.tokens().
///         lse [B * H * T]: as in AttentionOut, window by window.
/// Throws: ShapeError if shapes or types do not fit, or if windows.side is not positive.
/// Source: windows of a plain transformer with some global blocks: Li et al. 2022 (arXiv:2203.16527), section 3.
AttentionOut window_attention(const Tensor& q, const Tensor& k, const Tensor& v, double scale, const Windows& windows);
/// Writes dq, dk, dv, which are views of the shapes of q, k, v.
void window_attention_backward(const Tensor& dy, const Tensor& q, const Tensor& k, const Tensor& v,
                               const AttentionOut& out, double scale, const Windows& windows, Tensor dq, Tensor dk,
                               Tensor dv);

/// u8 [1, 1, T, T]: 1 where a token sees another one.
Tensor window_mask(const Windows& windows);
/// The number of ones in window_mask(): queries times the keys that each sees.
int64_t window_pairs(const Windows& windows);

}  // namespace vitrail::core
