// The patch measure: whether the tokens of patches tell a thing from the background behind it. Images with transparent
// backgrounds are labelled already: their opacity says what each patch shows.
#pragma once

#include "vitrail/core/tensor.h"
#include "vitrail/data/image/background.h"
#include "vitrail/nn/backbone.h"
#include "vitrail/recipes/build/preprocessing.h"
#include "vitrail/recipes/eval/knn.h"
#include "vitrail/recipes/run/recipe.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::recipes {

/// Images [B, 3, H, W] to a feature for each patch, row by row: [B, N, D].
using PatchFeatureOf = std::function<Tensor(const Tensor& images)>;

/// The patch tokens after the final norm, in evaluation mode; model outlives the result.
PatchFeatureOf patch_tokens(nn::TokenBackbone& model);
/// The pixels of each patch: what a network must beat.
PatchFeatureOf patch_pixels(int64_t patch_size);

/// For each patch 1 (thing) if the mean opacity of its pixels is at least 3/4, 0 (background) if it is at most 1/4,
/// else -1: a patch on the border counts as neither. opacity: the same in all three channels, 255 is opaque; both sides
/// are multiples of patch_size.
std::vector<int64_t> patch_labels(const data::Image& opacity, int64_t patch_size);

/// Labelled patches.
struct PatchSet {
  Tensor features;  // f32 [N, D], of length 1
  Tensor labels;    // i64 [N]
};

/// Images with transparent backgrounds in two parts, so that no image is in both. The whole image is shown, at the size
/// that the model takes, without the crop of evaluations.
class CutOuts final {
 public:
  /// root: data with the parts train and val, or undivided data, of which a quarter is held out. Labels are not read.
  /// background: behind every image; nothing: a colour with two waves over it, drawn for each image from its number
  /// alone. Otherwise the measure would be a search for that one colour, or for smooth patches.
  /// Throws DataError if no image is transparent anywhere, or if a part lacks things or background; IoError for a
  /// broken image; as data::open_dataset.
  CutOuts(const std::string& root, const Preprocessing& preprocessing, int64_t patch_size,
          const std::optional<data::Background>& background = {});

  /// Patches to learn from: as many of each kind, at most 10,000 of each, chosen at random but always the same.
  PatchSet train(const PatchFeatureOf& feature_of, const Tick& tick) const {
    return features(train_, feature_of, tick);
  }
  /// Patches to score: all of them.
  PatchSet val(const PatchFeatureOf& feature_of, const Tick& tick) const { return features(val_, feature_of, tick); }

  /// Images to learn from.
  int64_t train_images() const { return std::ssize(train_.images); }
  /// Images to score.
  int64_t val_images() const { return std::ssize(val_.images); }
  /// The share of things among the patches to score, and of patches of those images that are neither.
  double val_things() const;
  /// See val_things().
  double val_mixed() const;

 private:
  struct Part {
    std::vector<data::Image> images;  // on their background
    std::vector<int64_t> labels;      // of all patches, image by image
    std::vector<int64_t> chosen;      // patches to use, rising
  };
  Part open(const std::string& root, bool held_out, const std::optional<data::Background>& background) const;
  PatchSet features(const Part& part, const PatchFeatureOf& feature_of, const Tick& tick) const;

  Preprocessing preprocessing_;
  int64_t patch_size_;
  Part train_, val_;
};

/// How well predictions agree with labels 0 and 1.
struct PatchScore {
  double accuracy = 0;  // balanced: the mean of the accuracies on things and on background
  double miou = 0;      // the mean of both kinds' intersections over unions
};
/// Throws ShapeError if the lengths differ.
PatchScore score_patches(const std::vector<int64_t>& predicted, const std::vector<int64_t>& labels);
/// Of nearest neighbours: see knn_votes. The label with more votes counts, on ties the background.
PatchScore patch_knn(const PatchSet& train, const PatchSet& val, const KnnOptions& options);
/// Of the answer that is right most often, whatever the patch.
PatchScore patch_majority(const PatchSet& val);

}  // namespace vitrail::recipes
