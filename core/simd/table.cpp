// Compiled once for each instruction set; VITRAIL_ISA names it.
#include "core/simd/table.h"

#include "core/reference/table.h"

namespace vitrail::simd::VITRAIL_ISA {

const Table<float>& table();
const Table<float>& table() {
  static constexpr Table<float> kTable = reference::make_table<float>();
  return kTable;
}

}  // namespace vitrail::simd::VITRAIL_ISA
