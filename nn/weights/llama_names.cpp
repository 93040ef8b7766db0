#include "vitrail/nn/weights/llama_names.h"

namespace vitrail::nn {
namespace {

constexpr std::string_view kOuter[] = {"model.", "language_model.", "text_model."};
constexpr std::string_view kParts[] = {"embed_tokens.", "layers.", "norm.", "lm_head."};
constexpr std::string_view kLlamaHead = "lm_head.";

}  // namespace

std::optional<std::string> llama_name(std::string_view theirs) {
  for (bool outer = true; outer;) {
    outer = false;
    for (const std::string_view word : kOuter)
      if (theirs.starts_with(word)) {
        theirs.remove_prefix(word.size());
        outer = true;
      }
  }
  for (const std::string_view part : kParts)
    if (theirs.starts_with(part)) return std::string(theirs);
  return std::nullopt;
}

std::string hf_llama_name(std::string_view ours) {
  return (ours.starts_with(kLlamaHead) ? "" : "model.") + std::string(ours);
}

}  // namespace vitrail::nn
