// The definition of the matrix product and of attention. See core/reference/elementwise.h.
#pragma once

#include "vitrail/core/reference/reduce.h"

namespace vitrail::reference {

/// a [..., M, K] times b [..., K, N] -> [..., M, N]; leading axes broadcast.
inline Tensor matmul(const Tensor& a, const Tensor& b) {
  const int64_t m = a.size(-2), k = a.size(-1), n = b.size(-1);
  const Shape batch = broadcast(a.shape().without(-1).without(-1), b.shape().without(-1).without(-1));
  const auto with_sizes = [&](int64_t rows, int64_t columns) {
    return batch.insert(batch.rank(), rows).insert(batch.rank() + 1, columns);
  };
  const Tensor x = a.expand(with_sizes(m, k)).clone(), w = b.expand(with_sizes(k, n)).clone();
  Tensor y = zeros(with_sizes(m, n), DType::f64);
  for (int64_t product = 0; product < batch.numel(); ++product)
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j)
        for (int64_t s = 0; s < k; ++s)
          y.data<double>()[(product * m + i) * n + j] +=
              x.data<double>()[(product * m + i) * k + s] * w.data<double>()[(product * k + s) * n + j];
  return y;
}

/// softmax(scale q k') [B, H, M, N] of q [B, H, M, D] and k [B, H, N, D]. Causal: query i sees keys 0..i.
inline Tensor attention_weights(const Tensor& q, const Tensor& k, double scale, bool causal) {
  const int64_t queries = q.size(2), keys = k.size(2);
  Tensor scores = reference::matmul(q, k.transpose(-1, -2));
  for (int64_t i = 0; i < scores.numel(); ++i) {
    const int64_t query = i / keys % queries, key = i % keys;
    double& score = scores.data<double>()[i];
    score = causal && key > query ? -INFINITY : scale * score;
  }
  return reference::softmax(scores);
}

/// softmax(scale q k') v -> [B, M, H D], heads side by side.
inline Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, double scale, bool causal) {
  const Tensor y =
      reference::matmul(reference::attention_weights(q, k, scale, causal), v).transpose(1, 2).clone();  // [B, M, H, D]
  return y.reshape({y.size(0), y.size(1), y.size(2) * y.size(3)});
}

}  // namespace vitrail::reference
