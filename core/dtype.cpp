#include "vitrail/core/dtype.h"

#include "vitrail/core/error.h"
#include "vitrail/core/text.h"

namespace vitrail {

int64_t size_of(DType dtype) {
  return dispatch_all(dtype, [](auto v) { return int64_t(sizeof v); });
}

std::string to_string(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::bf16:
      return "bf16";
    case DType::f64:
      return "f64";
    case DType::i64:
      return "i64";
    case DType::u8:
      return "u8";
  }
  __builtin_unreachable();
}

DType parse_dtype(std::string_view name) {
  constexpr DType kAll[] = {DType::f32, DType::bf16, DType::f64, DType::i64, DType::u8};
  for (DType d : kAll)
    if (to_string(d) == name) return d;
  fail<ConfigError>("dtype", "unknown element type '{}'; known are {}", name,
                    joined(kAll, [](DType d) { return to_string(d); }));
}

void detail::not_floating(std::string_view op, DType dtype) {
  fail<ShapeError>(op, "needs f32, bf16 or f64 elements, was given {}", dtype);
}

}  // namespace vitrail
