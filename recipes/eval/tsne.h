// t-SNE: places features on a plane so that neighbours stay neighbours.
#pragma once

#include "vitrail/core/tensor.h"
#include "vitrail/recipes/run/recipe.h"

namespace vitrail::recipes {

struct TsneOptions {
  double perplexity = 30;  // about how many neighbours each point has; at most (N - 1) / 3
  int64_t iterations = 750;
};

/// features f32 [N, D] -> f32 [N, 2]. Exact, so its time grows with N^2: some 10 s for 2,000 points. Starts from the
/// first two principal components, so that nothing is random.
/// Throws: ShapeError for fewer than 4 features or less than 2 dimensions.
/// Source: van der Maaten and Hinton 2008; learning rate of Belkina et al. 2019.
Tensor tsne(const Tensor& features, const TsneOptions& options, const Tick& tick);

}  // namespace vitrail::recipes
