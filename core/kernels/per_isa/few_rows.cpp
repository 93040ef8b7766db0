// Compiled once for each instruction set; VITRAIL_ISA names it.
#include "vitrail/core/kernels/few_rows.h"

#include "vitrail/core/kernels/loops/few_rows.h"

namespace vitrail::kernels::VITRAIL_ISA {

const FewRows& few_rows();
const FewRows& few_rows() {
  static constexpr FewRows kFewRows = loops::make_few_rows();
  return kFewRows;
}

}  // namespace vitrail::kernels::VITRAIL_ISA
