// The facts that weights do not show, as text beside them in a safetensors file that we write.
#pragma once

#include "vitrail/core/io/safetensors.h"
#include "vitrail/nn/weights/architecture.h"

#include <string>
#include <vector>

namespace vitrail::recipes {

/// The usual {"format": "pt"}, and the heads, the activation, the epsilon of the norms, the rule of positions, unusual
/// pooling and the names of the classes under names that begin with "vitrail.", which other programs ignore.
safetensors::Metadata to_metadata(const nn::Unwritten& unwritten, const std::vector<std::string>& classes);
/// The facts that are there. Throws IoError naming source for a value of another type or out of range.
nn::Unwritten unwritten_in(const safetensors::Metadata& metadata, const std::string& source);
/// The names of the classes; empty if there are none. Throws IoError naming source for anything but a list of names.
std::vector<std::string> classes_in(const safetensors::Metadata& metadata, const std::string& source);

}  // namespace vitrail::recipes
