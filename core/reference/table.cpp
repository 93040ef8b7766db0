#include "core/reference/table.h"

namespace vitrail::simd {

template <>
const Table<double>& table<double>() {
  static constexpr Table<double> kTable = reference::make_table<double>();
  return kTable;
}

}  // namespace vitrail::simd
