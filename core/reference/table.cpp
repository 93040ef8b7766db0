#include "core/reference/table.h"

#include "core/reference/gemm.h"

namespace vitrail::simd {

template <>
const Table<double>& table<double>() {
  static constexpr Table<double> kTable = reference::make_table<double>();
  return kTable;
}

template <>
const Gemm<double>* gemm<double>() {
  static constexpr Gemm<double> kGemm = reference::make_gemm<double>();
  return &kGemm;
}

}  // namespace vitrail::simd
