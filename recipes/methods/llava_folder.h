// Runs of llava as folders of other programs: whole models for transformers, adapters for PEFT.
#pragma once

#include "vitrail/nn/weights/layout.h"
#include "vitrail/recipes/methods/llava_start.h"
#include "vitrail/recipes/models/llava_model.h"
#include "vitrail/recipes/models/write_model.h"

#include <filesystem>

namespace vitrail::recipes {

/// Writes the model of a run, with its adapters merged, as a folder for transformers: LlavaForConditionalGeneration, or
/// Idefics3ForConditionalGeneration if its projector is one layer. See write_llava.
///
/// The tokenizer's files come along. A tokenizer without "<image>" gets it as an added token, and a decoder without a
/// row for it one more row, the mean of the others.
/// Throws ConfigError naming the part that such models do not have, before anything is written.
WrittenModel write_llava_run(const LlavaRun& run, const std::filesystem::path& folder);

/// Writes the decoder's adapter of a run with LoRA as a folder of PEFT.
///
/// The base is the run's init, with the names of LlavaForConditionalGeneration or Idefics3ForConditionalGeneration:
/// "model.language_model.layers.0.self_attn.q_proj". A projector or tower that was trained too is in modules_to_save.
/// If the decoder is from decoder.init, this is the base, with the names of LlamaForCausalLM: "model.layers.0...",
/// which has no place for other parts; a note says so. names: of the modules in transformers 5, or as files have them
/// (before 4.52). Throws ConfigError for a run without adapters, and for a trained part that such models do not have;
/// WriteError if a file cannot be written.
WrittenModel write_llava_adapter(const LlavaRun& run, const std::filesystem::path& folder, nn::NamesOf names);

}  // namespace vitrail::recipes
