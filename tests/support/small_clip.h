// A small CLIP with random weights, as a published model.
#pragma once

#include "vitrail/nn/models/clip.h"
#include "vitrail/recipes/models/published_model.h"

#include <string>
#include <vector>

namespace vitrail::test {

/// Images of 16, patches of 8, width 16, two blocks of two heads, no classifier.
nn::VitConfig small_vit();
/// That tower and a text tower like it for 515 words, texts of 8 tokens, features of 6 numbers, QuickGELU.
nn::ClipConfig small_clip();

/// A model of that architecture, in the layout of open_clip. Its vocabulary has one merge. Biases are not zero.
recipes::PublishedModel published_clip(const nn::ClipConfig& config = small_clip());

/// [2, 3, 16, 16], far from zero, so that settings of a model show in its features.
Tensor small_images();
std::vector<std::string> small_texts();

}  // namespace vitrail::test
