// Differentiable attention.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/attention.h"

namespace vitrail::ag {

using core::AttentionOptions;

/// q [B, H, M, D], k and v [B, H / G, N, D] -> [B, M, H * D]. bias [H or 1, M, N] or undefined.
Var attention(const Var& q, const Var& k, const Var& v, const AttentionOptions& options, const Var& bias = {});
/// Takes the packed projection qkv [B, N, 3 * H * D]. Reads it in place, and writes its gradient in place too.
Var attention(const Var& qkv, int64_t num_heads, const AttentionOptions& options, const Var& bias = {});

}  // namespace vitrail::ag
