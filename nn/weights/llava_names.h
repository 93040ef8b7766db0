// The names under which other programs keep the weights of a Llava.
#pragma once

#include "vitrail/nn/models/llava.h"
#include "vitrail/nn/weights/layout.h"

#include <optional>
#include <string>
#include <string_view>

namespace vitrail::nn {

/// Whose names: LlavaForConditionalGeneration, or Idefics3ForConditionalGeneration (SmolVLM). Both of Hugging Face.
enum class LlavaNames { llava, idefics3 };

/// The layout of the image tower: CLIP's, or SigLIP's for towers without a class token.
const Layout& tower_layout(const VitConfig& tower);

/// A file's weights under our names. Reads both kinds of names in all spellings that versions of transformers have
/// written: the words "model" and "language_model" in front of the parts may be missing or repeated. Also reads the
/// names of LLaVA's own program (mm_projector).
/// tied: lm_head is the table of embeddings, and a copy of it is left out. A weight without a place in a Llava keeps
/// its name. Throws IoError if two weights are the same one of ours.
Converted llava_from_hf(const TensorMap& theirs, bool tied);
/// Our weights under the names of the hub: "language_model.model.layers...", which all versions load. which: modules
/// are those of transformers 5, "model.language_model.layers...".
/// Throws ConfigError listing the weights that such models do not have.
TensorMap llava_to_hf(const TensorMap& ours, LlavaNames names, NamesOf which = NamesOf::files);
/// The name there of one of our weights; our own if such models do not have it.
std::string llava_name(std::string_view ours, LlavaNames names, NamesOf which = NamesOf::files);
/// The place of one of their weights in a Llava, in all spellings. Nothing for a weight that belongs to no part.
std::optional<PlaceInOurs> llava_place(std::string_view theirs);

}  // namespace vitrail::nn
