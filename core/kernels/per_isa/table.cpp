// Compiled once for each instruction set; VITRAIL_ISA names it.
#include "vitrail/core/kernels/table.h"

#include "vitrail/core/kernels/loops/table.h"

namespace vitrail::kernels::VITRAIL_ISA {

const Table<float>& table();
const Table<float>& table() {
  static constexpr Table<float> kTable = loops::make_table<float>();
  return kTable;
}

}  // namespace vitrail::kernels::VITRAIL_ISA
