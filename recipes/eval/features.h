// Features of a whole dataset, by a frozen network, and the kinds of features that evaluations use.
#pragma once

#include "vitrail/data/load/loader.h"
#include "vitrail/nn/backbone.h"
#include "vitrail/recipes/run/recipe.h"

#include <functional>
#include <limits>
#include <vector>

namespace vitrail::recipes {

/// Images [B, 3, H, W] to features [B, D].
using FeatureOf = std::function<Tensor(const Tensor& images)>;

/// Backbone::features in evaluation mode; model outlives the result.
FeatureOf pooled_features(nn::Backbone& model);
/// What DINO's linear evaluation reads of a transformer: the class tokens of the last blocks, each after the final
/// norm, side by side, oldest first; with patch_mean the mean of the last block's patches behind them. A network that
/// is no transformer, or has no class token, gives Backbone::features. Throws ConfigError if it has fewer blocks.
/// Source: Caron et al. 2021 (arXiv:2104.14294), section 4.2.1.
FeatureOf probe_features(nn::Backbone& model, int64_t blocks, bool patch_mean);
/// The pixels themselves: what a network must beat.
FeatureOf pixel_features();
/// Whether the pixels of so many images of that side are few enough to compare: 3 GB in f32.
bool pixels_fit(int64_t images, int64_t side);

struct FeatureSet {
  Tensor features;                    // f32 [N, D]
  Tensor labels;                      // i64 [N]
  std::vector<int64_t> indices = {};  // of the images in their dataset; the loader leaves broken ones out
};
/// The images of the loader, in its order, at least `most` of them or all. Throws NumericError for features that are
/// not finite; as the loader, and what tick throws.
FeatureSet extract_features(const FeatureOf& feature_of, data::Loader& loader, const Tick& tick,
                            int64_t most = std::numeric_limits<int64_t>::max());
/// Each feature scaled to length 1.
FeatureSet normalized(const FeatureSet& set);

}  // namespace vitrail::recipes
