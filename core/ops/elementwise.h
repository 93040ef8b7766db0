// Arithmetic and comparisons of two tensors, element by element, with NumPy broadcasting.
#pragma once

#include "vitrail/core/tensor.h"

namespace vitrail::core {

// Both tensors have one type. A scalar stays a double until the kernel has the elements in f32 (f64 for f64).
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, double b);
Tensor div(double a, const Tensor& b);
/// x * factor + offset.
Tensor affine(const Tensor& x, double factor, double offset = 0);

/// The larger and the smaller of two elements; NaN if one is NaN.
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, const Tensor& b);
/// The gradient of maximum(a, b) by a: dy where a > b, half of dy where a == b, else 0. Swap a and b for the gradient
/// by b, and for the gradient of minimum(a, b) by a.
Tensor maximum_backward(const Tensor& dy, const Tensor& a, const Tensor& b);

/// mask != 0 ? a : b. mask is u8; all three broadcast.
Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b);
/// x with value where mask is not 0. mask is u8 and broadcasts to x.
Tensor masked_fill(const Tensor& x, const Tensor& mask, double value);

/// 1 where the comparison holds, else 0, as u8. Any element type, the same one on both sides. A NaN equals nothing.
Tensor eq(const Tensor& a, const Tensor& b);
Tensor ne(const Tensor& a, const Tensor& b);
Tensor lt(const Tensor& a, const Tensor& b);
Tensor le(const Tensor& a, const Tensor& b);
Tensor eq(const Tensor& a, double b);
Tensor ne(const Tensor& a, double b);
Tensor lt(const Tensor& a, double b);
Tensor le(const Tensor& a, double b);
Tensor gt(const Tensor& a, double b);
Tensor ge(const Tensor& a, double b);

/// In place: a += factor * b, a *= b, a /= b, with b broadcast to a and of any floating type.
void add_(Tensor& a, const Tensor& b, double factor = 1);
void mul_(Tensor& a, const Tensor& b);
void div_(Tensor& a, const Tensor& b);
/// In place: a = factor * a + offset.
void affine_(Tensor& a, double factor, double offset);
/// In place: a *= factor.
void scale_(Tensor& a, double factor);
/// In place: a = a + t (b - a).
void lerp_(Tensor& a, const Tensor& b, double t);

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator+(const Tensor& a, double b) { return affine(a, 1, b); }
inline Tensor operator-(const Tensor& a, double b) { return affine(a, 1, -b); }
inline Tensor operator*(const Tensor& a, double b) { return affine(a, b); }
inline Tensor operator/(const Tensor& a, double b) { return div(a, b); }
inline Tensor operator+(double a, const Tensor& b) { return affine(b, 1, a); }
inline Tensor operator-(double a, const Tensor& b) { return affine(b, -1, a); }
inline Tensor operator*(double a, const Tensor& b) { return affine(b, a); }
inline Tensor operator/(double a, const Tensor& b) { return div(a, b); }
inline Tensor operator-(const Tensor& a) { return affine(a, -1); }

/// In place, as PyTorch's: every view of a sees the change.
inline Tensor& operator+=(Tensor& a, const Tensor& b) { return add_(a, b), a; }
inline Tensor& operator-=(Tensor& a, const Tensor& b) { return add_(a, b, -1), a; }
inline Tensor& operator*=(Tensor& a, const Tensor& b) { return mul_(a, b), a; }
inline Tensor& operator/=(Tensor& a, const Tensor& b) { return div_(a, b), a; }
inline Tensor& operator+=(Tensor& a, double b) { return affine_(a, 1, b), a; }
inline Tensor& operator-=(Tensor& a, double b) { return affine_(a, 1, -b), a; }
inline Tensor& operator*=(Tensor& a, double b) { return scale_(a, b), a; }
inline Tensor& operator/=(Tensor& a, double b) { return div_(a, scalar(b, DType::f64)), a; }

/// As lt(), le(): u8. Equality is eq() and ne(): == would have to be a bool elsewhere.
inline Tensor operator<(const Tensor& a, const Tensor& b) { return lt(a, b); }
inline Tensor operator<=(const Tensor& a, const Tensor& b) { return le(a, b); }
inline Tensor operator>(const Tensor& a, const Tensor& b) { return lt(b, a); }
inline Tensor operator>=(const Tensor& a, const Tensor& b) { return le(b, a); }
inline Tensor operator<(const Tensor& a, double b) { return lt(a, b); }
inline Tensor operator<=(const Tensor& a, double b) { return le(a, b); }
inline Tensor operator>(const Tensor& a, double b) { return gt(a, b); }
inline Tensor operator>=(const Tensor& a, double b) { return ge(a, b); }
inline Tensor operator<(double a, const Tensor& b) { return gt(b, a); }
inline Tensor operator<=(double a, const Tensor& b) { return ge(b, a); }
inline Tensor operator>(double a, const Tensor& b) { return lt(b, a); }
inline Tensor operator>=(double a, const Tensor& b) { return le(b, a); }

}  // namespace vitrail::core
