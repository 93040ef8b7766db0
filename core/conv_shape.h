// ConvShape: the sizes of a 2-d convolution, for its kernels.
#pragma once

#include "vitrail/core/dtype.h"

#include <cstdint>

namespace vitrail::core {

struct ConvShape {
  int64_t batch, in_chans, height, width;  // x
  int64_t out_chans, kernel_h, kernel_w;   // weight [out_chans, in_chans, kernel_h, kernel_w]
  int64_t stride, padding;
  int64_t out_height() const { return (height + 2 * padding - kernel_h) / stride + 1; }
  int64_t out_width() const { return (width + 2 * padding - kernel_w) / stride + 1; }
};

}  // namespace vitrail::core
