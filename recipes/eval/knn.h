// Weighted k-nearest-neighbour classification: what features are worth, without training anything.
#pragma once

#include "vitrail/core/tensor.h"

namespace vitrail::recipes {

struct KnnOptions {
  int64_t k = 20;  // at most as many as there are training features
  double temperature = 0.07;
};

/// For each test feature the votes of its k most similar training features for their classes, each exp(similarity /
/// temperature), where similarity is the product of the two: features have length 1 (core::l2_normalize). At so low a
/// temperature that they would overflow, all votes of a test feature are scaled down alike.
/// Shape:  train [N, D], labels i64 [N] in [0, classes), test [M, D] -> [M, classes], of test's type.
/// Throws: ShapeError if sizes do not fit or a label is no class.
/// Source: Wu et al. 2018 (arXiv:1805.01978), section 3.4; eval_knn.py of DINO.
Tensor knn_votes(const Tensor& train, const Tensor& labels, const Tensor& test, int64_t classes,
                 const KnnOptions& options);

/// The share of test features whose own label has the most votes.
double knn_top1(const Tensor& train, const Tensor& train_labels, const Tensor& test, const Tensor& test_labels,
                int64_t classes, const KnnOptions& options);

}  // namespace vitrail::recipes
