// Compiled for processors with a matrix unit.
#include "vitrail/core/kernels/loops/tiles.h"

#include "vitrail/core/kernels/gemm.h"

namespace vitrail::kernels::x86_64_v4_amx {

const Gemm<bf16>* gemm_bf16();
const Gemm<bf16>* gemm_bf16() {
  static constexpr Gemm<bf16> kGemm = loops::make_tile_gemm<loops::AmxUnit>();
  return &kGemm;
}

}  // namespace vitrail::kernels::x86_64_v4_amx
