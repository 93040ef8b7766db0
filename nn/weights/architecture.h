// What a model is, from the shapes of its weights alone.
#pragma once

#include "vitrail/nn/models/clip.h"
#include "vitrail/nn/weights/layout.h"

#include <optional>
#include <string>

namespace vitrail::nn {

/// A table of positions [1, rows, C] as the grid of patches and the rows in front of theirs.
struct PositionTable {
  PosEmbed kind;
  int64_t prefix;  // rows in front
  int64_t side;    // of the square grid
};
/// read: class and distillation token. Nothing if the rest of the rows is no square.
std::optional<PositionTable> position_table(const Tensor& table, int64_t read, int64_t registers);

/// What no weight says. Fields without value: as the layout has it; heads: as the published models have them, embed_dim
/// / 64, but 16 in image towers of widths 1280, 1408 and 1664 (ViT-H, g, G).
struct Unwritten {
  std::optional<int64_t> num_heads = {}, text_num_heads = {};
  std::optional<double> ln_eps = {};
  std::optional<ag::Gelu> gelu = {};
};

/// The architecture of weights under our names, as from_layout gives them.
/// Throws IoError naming the weight, as the layout calls it, that is missing or of an impossible shape, or if the
/// number of heads cannot be guessed; source stands in front.
VitConfig vit_config(const TensorMap& weights, const Layout& layout, const std::string& source,
                     const Unwritten& unwritten = {});
ClipConfig clip_config(const TensorMap& weights, const Layout& layout, const std::string& source,
                       const Unwritten& unwritten = {});

}  // namespace vitrail::nn
