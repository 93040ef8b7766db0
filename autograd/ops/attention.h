// Differentiable attention.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/attention.h"

namespace vitrail::ag {

using core::AttentionOptions;

/// q, k, v [B, H, N, D] -> [B, N, H * D].
Var attention(const Var& q, const Var& k, const Var& v, const AttentionOptions& options);
/// On the packed projection qkv [B, N, 3 * H * D], read in place; its gradient is written in place too.
Var attention(const Var& qkv, int64_t num_heads, const AttentionOptions& options);

}  // namespace vitrail::ag
