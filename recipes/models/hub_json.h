// Parts that the JSON files of several families have in common. For sources of this folder only.
#pragma once

#include "vitrail/nn/weights/layout.h"
#include "vitrail/recipes/config/json_object.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace vitrail::recipes {

struct PublishedModel;

// Limits above every published model. They keep a broken file from asking for all memory.
inline constexpr int64_t kMostWidth = 1 << 14, kMostBlocks = 256, kMostHidden = 1 << 17, kMostSide = 1 << 14,
                         kMostPatch = 1 << 10, kMostHeads = 1 << 10, kMostWords = 1 << 22, kMostTokens = 1 << 16,
                         kMostClasses = 1 << 20;

/// "hidden_act", as Hugging Face names activations. Throws IoError listing them for another name.
ag::Gelu parse_activation(const JsonObject& config, const char* otherwise, const char* key = "hidden_act");
/// The name that parse_activation() reads.
std::string activation_name(ag::Gelu gelu);

/// The same for people: "QuickGELU".
std::string gelu_title(ag::Gelu gelu);

/// The keys that ViT, DeiT, Dinov2 and both towers of CLIP share in Hugging Face's files. The arguments are defaults.
nn::VitConfig parse_transformer(const JsonObject& config, double ln_eps, int64_t patch_size, int64_t img_size,
                                const char* activation);
/// The same keys of a config.
Json transformer_json(const nn::VitConfig& config);

/// The hidden width of the MLP. Setting it also sets mlp_ratio.
void set_hidden_width(nn::VitConfig& config, int64_t hidden);
int64_t hidden_width(const nn::VitConfig& config);

/// Whether "architectures" of Hugging Face's files names that class.
bool has_class(const JsonObject& config, std::string_view name);

/// "torch_dtype" of Hugging Face's files: the type that write_model() gives all weights, "float32" if they differ.
std::string torch_dtype(const PublishedModel& model);

/// Throws ConfigError "models of <layout> have no <what>" if refused.
void refuse_in_layout(bool refused, const nn::Layout& layout, const char* what);

}  // namespace vitrail::recipes
