// tokenizer.json of a language model, in which Hugging Face's tokenizers keep the vocabulary and all else in one file.
#pragma once

#include "vitrail/data/text/tokenizer_pipeline.h"

#include <string>
#include <string_view>

namespace vitrail::data {

/// Parses the file: a BPE over characters with byte fallback (Llama, Gemma), or over bytes (GPT-2, Llama 3, Qwen2,
/// SmolLM2). Truncation and padding settings are ignored.
/// Throws IoError for a damaged file; ConfigError naming the component that is not supported.
TokenizerParts parse_hub_tokenizer(std::string_view json, const std::string& name);

}  // namespace vitrail::data
