// Compiled once for each instruction set; VITRAIL_ISA names it.
#include "vitrail/core/kernels/gemm.h"

#include "vitrail/core/kernels/loops/gemm.h"

namespace vitrail::kernels::VITRAIL_ISA {

const Gemm<float>* gemm_f32();
const Gemm<float>* gemm_f32() {
  static constexpr Gemm<float> kGemm = loops::make_gemm<float>();
  return &kGemm;
}

const Gemm<bf16>* gemm_bf16();
const Gemm<bf16>* gemm_bf16() {
#ifdef __AVX512BF16__
  static constexpr Gemm<bf16> kGemm = loops::make_gemm<bf16>();
  return &kGemm;
#else
  return nullptr;
#endif
}

}  // namespace vitrail::kernels::VITRAIL_ISA
