// Embedding: rows of a learned table.
#pragma once

#include "vitrail/nn/module.h"

namespace vitrail::nn {

/// Shape: ids i64 [...] -> [..., dim]. Throws ShapeError naming an id outside [0, rows).
struct Embedding final : Module<Embedding> {
  Embedding(const Scope& scope, int64_t rows, int64_t dim, const Init& weight_init = init::normal(0.02))
      : Module(scope), weight(sub("weight"), {rows, dim}, weight_init) {}

  Var forward(const Tensor& ids) { return embedding(Var(weight), ids); }

  Param weight;
};

}  // namespace vitrail::nn
