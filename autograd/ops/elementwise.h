// Differentiable arithmetic with broadcasting, and comparisons.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/elementwise.h"

namespace vitrail::ag {

/// a and b broadcast as in NumPy. Throws ShapeError if the shapes do not fit.
Var add(const Var& a, const Var& b);
Var sub(const Var& a, const Var& b);
Var mul(const Var& a, const Var& b);
Var div(const Var& a, const Var& b);
Var div(const Var& a, double b);
Var div(double a, const Var& b);
/// x * factor + offset.
Var affine(const Var& x, double factor, double offset = 0);
/// Equal elements get half of the gradient each, as in PyTorch.
Var maximum(const Var& a, const Var& b);
Var minimum(const Var& a, const Var& b);
Var where(const Tensor& mask, const Var& a, const Var& b);
/// x with the constant `value` where mask is not 0.
Var masked_fill(const Var& x, const Tensor& mask, double value);
/// To another floating type; the gradient comes back in x's.
Var cast(const Var& x, DType dtype);
/// The same value as a constant: no gradient flows to x.
inline Var detach(const Var& x) { return x.detach(); }

inline Var operator+(const Var& a, const Var& b) { return add(a, b); }
inline Var operator-(const Var& a, const Var& b) { return sub(a, b); }
inline Var operator*(const Var& a, const Var& b) { return mul(a, b); }
inline Var operator/(const Var& a, const Var& b) { return div(a, b); }
inline Var operator+(const Var& a, double b) { return affine(a, 1, b); }
inline Var operator-(const Var& a, double b) { return affine(a, 1, -b); }
inline Var operator*(const Var& a, double b) { return affine(a, b); }
inline Var operator/(const Var& a, double b) { return div(a, b); }
inline Var operator+(double a, const Var& b) { return affine(b, 1, a); }
inline Var operator-(double a, const Var& b) { return affine(b, -1, a); }
inline Var operator*(double a, const Var& b) { return affine(b, a); }
inline Var operator/(double a, const Var& b) { return div(a, b); }
inline Var operator-(const Var& a) { return affine(a, -1); }

/// a = a + b, and so on: a names the new result, and no tensor changes.
inline Var& operator+=(Var& a, const Var& b) { return a = a + b; }
inline Var& operator-=(Var& a, const Var& b) { return a = a - b; }
inline Var& operator*=(Var& a, const Var& b) { return a = a * b; }
inline Var& operator/=(Var& a, const Var& b) { return a = a / b; }
inline Var& operator+=(Var& a, double b) { return a = a + b; }
inline Var& operator-=(Var& a, double b) { return a = a - b; }
inline Var& operator*=(Var& a, double b) { return a = a * b; }
inline Var& operator/=(Var& a, double b) { return a = a / b; }

/// Comparisons have no gradient: u8 constants. Equality is eq(a.value(), b.value()).
inline Tensor operator<(const Var& a, const Var& b) { return lt(a.value(), b.value()); }
inline Tensor operator<=(const Var& a, const Var& b) { return le(a.value(), b.value()); }
inline Tensor operator>(const Var& a, const Var& b) { return lt(b.value(), a.value()); }
inline Tensor operator>=(const Var& a, const Var& b) { return le(b.value(), a.value()); }
inline Tensor operator<(const Var& a, double b) { return lt(a.value(), b); }
inline Tensor operator<=(const Var& a, double b) { return le(a.value(), b); }
inline Tensor operator>(const Var& a, double b) { return gt(a.value(), b); }
inline Tensor operator>=(const Var& a, double b) { return ge(a.value(), b); }

}  // namespace vitrail::ag
