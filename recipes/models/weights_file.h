// Reads files of published weights and checks that they can be weights.
#pragma once

#include "vitrail/core/io/safetensors.h"
#include "vitrail/nn/weights/layout.h"

#include <string>
#include <string_view>

namespace vitrail::recipes {

/// Throws IoError naming the file (source), the weight and its value unless every element is finite and fits f32.
/// dtype: the name of the type in the file; a type of whole numbers or of true and false is refused too.
void check_weight(const std::string& source, std::string_view name, std::string_view dtype, const Tensor& weight);

/// The selected weights of a file in that layout, under our names.
/// Throws as safetensors::Reader, nn::from_layout and check_weight. Weights that are left out are not checked.
nn::Converted read_in_layout(const safetensors::Reader& file, const nn::Layout& layout, const nn::Selection& selection);

/// All weights of a file that already has our names. Throws as safetensors::Reader and check_weight.
TensorMap read_own_names(const safetensors::Reader& file);

}  // namespace vitrail::recipes
