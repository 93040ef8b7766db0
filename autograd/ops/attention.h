// Differentiable attention.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/attention.h"
#include "vitrail/core/ops/rope.h"
#include "vitrail/core/ops/window_attention.h"

namespace vitrail::ag {

using core::AttentionOptions;
using core::Rope;
using core::Windows;

/// q [B, H, M, D], k and v [B, H / G, N, D] -> [B, M, H * D]. bias [H or 1, M, N] or undefined.
Var attention(const Var& q, const Var& k, const Var& v, const AttentionOptions& options, const Var& bias = {});
/// Takes the packed projection qkv [B, N, 3 * H * D]. Reads it in place, and writes its gradient in place too.
Var attention(const Var& qkv, int64_t num_heads, const AttentionOptions& options, const Var& bias = {});

/// The same with windows: q, k, v [B, H, T, D] -> [B, T, H * D], or packed qkv [B, T, 3 * H * D].
Var window_attention(const Var& q, const Var& k, const Var& v, double scale, const Windows& windows);
Var window_attention(const Var& qkv, int64_t num_heads, double scale, const Windows& windows);

/// Rotates x [B, H, T, D], or the queries and keys of packed qkv [B, T, 3 * H * D], by the places of the patches.
Var rotate(const Var& x, const Rope& rope);
Var rotate(const Var& qkv, int64_t num_heads, const Rope& rope);

}  // namespace vitrail::ag
