// The contents of the cache of oneDNN primitives, for tests and reports.
#pragma once

#include "vitrail/core/dtype.h"

#include <cstdint>
#include <string>
#include <vector>

namespace vitrail::core::dnnl {

/// oneDNN has fast bf16 products on this processor. Elsewhere it emulates bf16, several times slower than f32.
bool native_bf16();

/// The number of primitives ever built; it stays constant in the steady state.
int64_t primitives_built();

struct Implementation {
  std::string primitive;  // "matmul f32 197x64 * 64x197"
  std::string name;       // oneDNN's, e.g. "brg:avx512_core"
};
/// Of every primitive in the cache.
std::vector<Implementation> implementations();

}  // namespace vitrail::core::dnnl
