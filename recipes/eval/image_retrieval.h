// Image retrieval: how well the images of a class find each other.
#pragma once

#include "vitrail/recipes/eval/features.h"

namespace vitrail::recipes {

/// Mean average precision: each image asks, all others are ranked by the product of their features (of length 1),
/// those of its class are right. Images without another of their class do not ask.
/// Returns 0 if none asks.
double retrieval_map(const FeatureSet& set);

/// The k nearest of each query among known, nearest first: i64 [M, k]. Features have length 1. Throws ShapeError if
/// there are fewer than k.
Tensor nearest(const Tensor& queries, const Tensor& known, int64_t k);

}  // namespace vitrail::recipes
