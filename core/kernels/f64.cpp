#include "vitrail/core/kernels/loops/gemm.h"
#include "vitrail/core/kernels/loops/table.h"

namespace vitrail::kernels {

template <>
const Table<double>& table<double>() {
  static constexpr Table<double> kTable = loops::make_table<double>();
  return kTable;
}

template <>
const Gemm<double>* gemm<double>() {
  static constexpr Gemm<double> kGemm = loops::make_gemm<double>();
  return &kGemm;
}

}  // namespace vitrail::kernels
