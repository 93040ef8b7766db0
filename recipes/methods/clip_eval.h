// What a pair of towers is worth: retrieval both ways, zero-shot classification.
#pragma once

#include "vitrail/recipes/methods/clip_data.h"
#include "vitrail/recipes/methods/clip_model.h"

namespace vitrail::recipes {

/// Of the pairs: "i2t_r1", "_r5", "_r10", "_mean_rank", "_median_rank", and "t2i_..." (see recall). Of the classes:
/// "zero_shot_top1", "_top5", "_top10". In the compute type of ag::Autocast. Throws as loaders do, and what tick
/// throws.
Stats evaluate_clip(nn::Clip& clip, const data::Tokenizer& tokenizer, ClipEvalData& data, const Tick& tick);

}  // namespace vitrail::recipes
