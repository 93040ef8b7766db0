// What weights do not say, as text beside them in a safetensors file that we write.
#pragma once

#include "vitrail/core/io/safetensors.h"
#include "vitrail/nn/weights/architecture.h"

#include <string>
#include <variant>

namespace vitrail::recipes {

/// The usual {"format": "pt"}, and under names that begin with "vitrail." the heads, the activation and the epsilon of
/// the norms, which other readers pass over.
safetensors::Metadata metadata_of(const std::variant<nn::VitConfig, nn::ClipConfig>& architecture);
/// What of that is there. Throws IoError naming source for a value that is no such thing.
nn::Unwritten unwritten_in(const safetensors::Metadata& metadata, const std::string& source);

}  // namespace vitrail::recipes
