// How well a model classifies: loss, top-1 and top-5, over all images and class by class.
#pragma once

#include "vitrail/core/tensor.h"
#include "vitrail/recipes/eval/features.h"
#include "vitrail/recipes/run/recipe.h"

#include <cstdint>
#include <string>
#include <vector>

namespace vitrail::recipes {

/// For each row of logits [B, K] the place of its label among the k largest, from 0; k if it is not one of them.
std::vector<int64_t> label_places(const Tensor& logits, const Tensor& labels, int64_t k);

/// The share of places below n: the accuracy among the first n.
double share_below(const std::vector<int64_t>& places, int64_t n);

struct ClassScore {
  int64_t images = 0;
  int64_t top1 = 0, top5 = 0;  // images whose label is the first, or one of the first five
};

struct Scores {
  double loss = 0;  // mean cross-entropy
  ClassScore all;
  std::vector<ClassScore> classes;  // by label
  std::vector<Scores> heads;        // of a distilled model: those of the class token, of the distillation token

  /// "loss", "top1" and "top5", the last two as fractions; then the same of the heads, "cls_loss" to "dist_top5".
  Stats stats() const;
};

/// "2 of 360 images are broken and left out"; empty if all are scored.
std::string left_out_note(int64_t images, int64_t scored);

/// How many images of each class (row) were taken for each class (column): i64 [K, K].
using Confusion = Tensor;

/// Runs the model in evaluation mode over the batches of loader, in the compute type of ag::Autocast.
/// confusion: zeros [K, K] to count in, if wanted.
/// Throws: NumericError for logits that are not finite; DataError if no image is left; as the loader, and what tick
///         throws.
Scores evaluate(nn::Backbone& model, data::Loader& loader, const Tick& tick, Confusion* confusion = nullptr);
/// The same for a function from images to logits [B, K].
Scores evaluate(const FeatureOf& logits_of, data::Loader& loader, const Tick& tick, Confusion* confusion = nullptr);

}  // namespace vitrail::recipes
