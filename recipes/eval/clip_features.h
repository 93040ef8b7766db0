// Features of images and texts from the two towers of a CLIP.
#pragma once

#include "vitrail/data/text/tokenizer.h"
#include "vitrail/nn/models/clip.h"
#include "vitrail/recipes/eval/features.h"
#include "vitrail/recipes/eval/zero_shot.h"

namespace vitrail::recipes {

/// Features of images in evaluation mode, not normalised. clip outlives the result.
FeatureOf image_features(nn::Clip& clip);
/// Features of texts in evaluation mode, not normalised, computed 256 at a time. Texts that are too long are cut. Both
/// arguments outlive the result. It throws NumericError naming the text for features that are not finite.
TextFeatures text_features(nn::Clip& clip, const data::Tokenizer& tokenizer);

}  // namespace vitrail::recipes
