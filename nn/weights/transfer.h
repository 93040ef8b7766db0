// Weights of one model as the start of another that has another image size, other classes, or another choice of a
// distillation token.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/nn/backbone.h"
#include "vitrail/nn/weights/layout.h"

#include <string>
#include <vector>

namespace vitrail::nn {

/// Loads weights into a model of the same architecture. Positions for another grid of patches are resampled by the
/// model's rule (VitConfig::pos_interp); positions of prefix tokens are copied. Heads with another number of classes,
/// distillation parts and mask tokens may be missing or too many; the model then keeps its own. It also keeps adapters
/// (add_lora) that the file lacks. Returns a sentence about each weight that was not simply copied.
/// Throws: IoError listing all other names that are missing, unexpected or of another shape, by the names of layout if
///         given, with source (a file's name) first. Nothing has changed then.
std::vector<std::string> load_pretrained(Backbone& model, TensorMap weights, const std::string& source,
                                         const Layout* layout = nullptr);

}  // namespace vitrail::nn
