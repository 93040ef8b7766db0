// The evaluation of CLIP: retrieval in both directions, zero-shot classification.
#pragma once

#include "vitrail/recipes/eval/features.h"
#include "vitrail/recipes/eval/zero_shot.h"
#include "vitrail/recipes/methods/clip_data.h"

namespace vitrail::recipes {

/// For pairs: "i2t_r1", "_r5", "_r10", "_mean_rank", "_median_rank", the same "t2i_..." (see recall), and "images", the
/// number of images scored. For classes: "zero_shot_top1", "_top5", "_top10", "zero_shot_images". Computes in the type
/// of ag::Autocast. Rethrows from the loader and from tick.
Stats evaluate_clip(const FeatureOf& image_features, const TextFeatures& text_features, ClipEvalData& data,
                    const Tick& tick);

}  // namespace vitrail::recipes
