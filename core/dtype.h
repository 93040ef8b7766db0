// Element types: f32, bf16, f64, i64, u8, their conversions, and dispatch from a DType to a C++ type.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace vitrail {

/// The kernels. The namespace is inline so that exp(t) finds core::exp by the type of its argument, a Tensor.
inline namespace core {}

enum class DType : uint8_t { f32, bf16, f64, i64, u8 };

/// The upper half of an f32. Arithmetic is done in f32.
struct bf16 {
  uint16_t bits = 0;

  bf16() = default;
  /// Round to nearest, ties to even; NaN stays NaN.
  explicit bf16(float v) {
    const uint32_t u = std::bit_cast<uint32_t>(v);
    const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
    bits = nan ? uint16_t((u >> 16) | 0x40u) : uint16_t((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
  }
  operator float() const { return std::bit_cast<float>(uint32_t(bits) << 16); }
};

/// Bytes of one element.
int64_t size_of(DType dtype);
/// The name that parse_dtype() reads.
std::string to_string(DType dtype);
/// "f32", "bf16", ... Throws ConfigError for any other name.
DType parse_dtype(std::string_view name);
/// True for f32, bf16 and f64.
inline bool is_floating(DType d) { return d == DType::f32 || d == DType::bf16 || d == DType::f64; }

/// The DType of a C++ element type. Other types do not compile.
template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>)
    return DType::f32;
  else if constexpr (std::is_same_v<T, bf16>)
    return DType::bf16;
  else if constexpr (std::is_same_v<T, double>)
    return DType::f64;
  else if constexpr (std::is_same_v<T, int64_t>)
    return DType::i64;
  else {
    static_assert(std::is_same_v<T, uint8_t>, "not an element type");
    return DType::u8;
  }
}

/// The type in which elements of T are computed: double for double, float for float and bf16.
template <class T>
using compute_t = std::conditional_t<std::is_same_v<T, double>, double, float>;

/// v in a type that converts to To: float if either is bf16, since bf16 converts only from and to float.
template <class To, class From>
auto compute_cast(From v) {
  if constexpr (std::is_same_v<To, bf16> || std::is_same_v<From, bf16>)
    return static_cast<float>(v);
  else
    return static_cast<To>(v);
}

namespace detail {
[[noreturn]] void not_floating(std::string_view op, DType dtype);
}

/// fn(T{}) for the element type; T is float, bf16 or double. Throws ShapeError naming op otherwise.
template <class F>
decltype(auto) dispatch_floating(DType dtype, std::string_view op, F&& fn) {
  switch (dtype) {
    case DType::f32:
      return fn(float{});
    case DType::bf16:
      return fn(bf16{});
    case DType::f64:
      return fn(double{});
    default:
      detail::not_floating(op, dtype);
  }
}

/// fn(T{}) for any element type.
template <class F>
decltype(auto) dispatch_all(DType dtype, F&& fn) {
  switch (dtype) {
    case DType::f32:
      return fn(float{});
    case DType::bf16:
      return fn(bf16{});
    case DType::f64:
      return fn(double{});
    case DType::i64:
      return fn(int64_t{});
    case DType::u8:
      return fn(uint8_t{});
  }
  __builtin_unreachable();
}

}  // namespace vitrail
