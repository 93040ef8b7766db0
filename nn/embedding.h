// Embedding: rows of a learned table.
#pragma once

#include "vitrail/nn/module.h"

namespace vitrail::nn {

/// Shape: ids i64 [...] -> [..., dim], f32 if the table is bf16. Throws ShapeError naming an id outside [0, rows).
struct Embedding final : Module<Embedding> {
  Embedding(const Scope& scope, int64_t rows, int64_t dim, const Init& weight_init = init::normal(0.02))
      : Module(scope), weight(sub("weight"), {rows, dim}, weight_init) {}

  Var forward(const Tensor& ids) {
    const Var rows = embedding(weight, ids);
    return rows.dtype() == DType::bf16 ? cast(rows, DType::f32) : rows;
  }

  Param weight;
};

}  // namespace vitrail::nn
