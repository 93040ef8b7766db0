// Retrieval between images and texts: does each find the other among all?
#pragma once

#include "vitrail/core/tensor.h"
#include "vitrail/recipes/run/stats.h"

#include <string_view>
#include <vector>

namespace vitrail::recipes {

/// For each query the place, from 0, of its best right answer among all: the number of answers that are more similar,
/// or as similar and listed before it.
/// Shape:  queries [Q, D], answers [A, D], both of length 1; right: for each query the answers that are right.
/// Throws ShapeError if a query has none, or one that is no answer.
std::vector<int64_t> best_places(const Tensor& queries, const Tensor& answers,
                                 const std::vector<std::vector<int64_t>>& right);

/// "<prefix>_r1", "_r5", "_r10": shares of the places below 1, 5, 10; "_mean_rank" and "_median_rank", from 1.
/// Source: open_clip's get_clip_metrics.
Stats recall(std::string_view prefix, const std::vector<int64_t>& places);

}  // namespace vitrail::recipes
