// Differentiable arithmetic, with broadcasting, and comparisons.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/elementwise.h"

namespace vitrail::ag {

Var add(const Var& a, const Var& b);
Var sub(const Var& a, const Var& b);
Var mul(const Var& a, const Var& b);
Var div(const Var& a, const Var& b);
Var affine(const Var& x, double factor, double offset = 0);
Var where(const Tensor& mask, const Var& a, const Var& b);
/// To another floating type; the gradient comes back in x's.
Var cast(const Var& x, DType dtype);
inline Var operator+(const Var& a, const Var& b) { return add(a, b); }
inline Var operator-(const Var& a, const Var& b) { return sub(a, b); }
inline Var operator*(const Var& a, const Var& b) { return mul(a, b); }
inline Var operator/(const Var& a, const Var& b) { return div(a, b); }
inline Var operator*(const Var& x, double factor) { return affine(x, factor); }
inline Var operator*(double factor, const Var& x) { return affine(x, factor); }
inline Var operator+(const Var& x, double offset) { return affine(x, 1, offset); }
inline Var operator-(const Var& x, double offset) { return affine(x, 1, -offset); }
inline Var operator-(const Var& x) { return affine(x, -1); }

}  // namespace vitrail::ag
