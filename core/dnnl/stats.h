// What the cache of oneDNN primitives holds, for tests and reports.
#pragma once

#include "vitrail/core/dtype.h"

#include <cstdint>
#include <string>
#include <vector>

namespace vitrail::core::dnnl {

/// oneDNN has fast bf16 products on this processor, and fast ones on its matrix unit (AMX). Without the first it
/// emulates bf16, several times slower than f32.
bool native_bf16();
bool native_bf16_tiles();

/// How many primitives were ever built; in the steady state it stands still.
int64_t primitives_built();

struct Implementation {
  std::string primitive;  // "matmul f32 197x64 * 64x197"
  std::string name;       // oneDNN's, e.g. "brg:avx512_core"
};
/// Of every primitive in the cache.
std::vector<Implementation> implementations();

}  // namespace vitrail::core::dnnl
