// 2-d convolution in f32 on oneDNN. Arguments are dense NCHW; oneDNN chooses its own layouts inside.
#pragma once

#include "vitrail/core/conv_shape.h"

namespace vitrail::core::dnnl {

// Nothing may be empty. Thread: any number at once.

/// x [B, C, H, W], weight [O, C, kh, kw], bias [O] or null -> y [B, O, H', W'].
void conv_forward(const ConvShape& shape, const float* x, const float* weight, const float* bias, float* y);
void conv_backward_input(const ConvShape& shape, const float* dy, const float* weight, float* dx);
void conv_backward_weight(const ConvShape& shape, const float* dy, const float* x, float* dweight);

}  // namespace vitrail::core::dnnl
