// The names of a decoder's weights in Hugging Face's files.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vitrail::nn {

/// Our name for a weight of a decoder: "model.layers.0.mlp.up_proj.weight" -> "layers.0.mlp.up_proj.weight". Files of
/// models that read images put further words before it, and versions differ in which: any run of "model.",
/// "language_model." and "text_model." goes. Nothing for a weight of another part ("vision_tower. ...").
std::optional<std::string> llama_name(std::string_view theirs);

/// The name that LlamaForCausalLM and its relatives write: "model.norm.weight", "lm_head.weight".
std::string hf_llama_name(std::string_view ours);

}  // namespace vitrail::nn
