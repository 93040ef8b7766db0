// Weights of one model as the start of another: of another image size, with other classes, with or without a
// distillation token.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/nn/backbone.h"
#include "vitrail/nn/weights/layout.h"

#include <string>
#include <vector>

namespace vitrail::nn {

/// Loads weights into a model of the same architecture. A table of positions for another grid of patches is resampled
/// by the model's rule (VitConfig::pos_interp), its rows of prefix tokens are copied. Heads of another number of
/// classes and what belongs to a distillation or a mask token may be missing or too many: the model's own then stay as
/// they are. Returns a sentence about each thing that was not simply copied. Throws: IoError listing all other names
/// that are missing, unexpected or of another shape, under the names of layout if there is one, with source (a file's
/// name) in front; nothing has changed then.
std::vector<std::string> load_pretrained(Backbone& model, TensorMap weights, const std::string& source,
                                         const Layout* layout = nullptr);

}  // namespace vitrail::nn
