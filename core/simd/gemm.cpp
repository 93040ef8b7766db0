// Compiled once for each instruction set; VITRAIL_ISA names it.
#include "core/simd/gemm.h"

#include "core/reference/gemm.h"

namespace vitrail::simd::VITRAIL_ISA {

const Gemm<float>* gemm_f32();
const Gemm<float>* gemm_f32() {
  static constexpr Gemm<float> kGemm = reference::make_gemm<float>();
  return &kGemm;
}

const Gemm<bf16>* gemm_bf16();
const Gemm<bf16>* gemm_bf16() {
#ifdef __AVX512BF16__
  static constexpr Gemm<bf16> kGemm = reference::make_gemm<bf16>();
  return &kGemm;
#else
  return nullptr;
#endif
}

}  // namespace vitrail::simd::VITRAIL_ISA
