// The architecture of a model from the shapes of its weights alone.
#pragma once

#include "vitrail/nn/models/clip.h"
#include "vitrail/nn/weights/layout.h"

#include <optional>
#include <string>

namespace vitrail::nn {

/// The parts of a table of positions [1, rows, C]: rows for prefix tokens, then a square grid of patches.
struct PositionTable {
  PosEmbed kind;
  int64_t prefix;  // rows for prefix tokens
  int64_t side;    // side of the grid
};
/// read: the number of class and distillation tokens. Nothing if the other rows are not a square number.
std::optional<PositionTable> position_table(const Tensor& table, int64_t read, int64_t registers);

/// Settings that no weight tells. A field without a value takes the layout's. The number of heads is then that of the
/// published models: embed_dim / 64, except 16 in image towers of widths 1280, 1408 and 1664 (ViT-H, g, G).
struct Unwritten {
  std::optional<int64_t> num_heads = {}, text_num_heads = {};
  std::optional<double> ln_eps = {}, text_ln_eps = {};  // text_: of a CLIP's text tower; null: as its image tower
  std::optional<ag::Gelu> gelu = {}, text_gelu = {};
  std::optional<ag::PosInterp> pos_interp = {};
  std::optional<Pool> pool = {};  // null: avg with fc_norm or without a class token, else token
  std::optional<bool> norm_after_pool = {};
  std::optional<bool> causal = {};
  std::optional<TextPool> text_pool = {};

  /// The same, with the fields that have no value here taken from other.
  Unwritten or_else(const Unwritten& other) const;
};

/// The rule by which the layout's own program resamples positions for another image size.
ag::PosInterp position_rule(const Layout& layout, bool has_registers);

/// The architecture of weights under our names, as from_layout returns them. Throws IoError, with source first, naming
/// a missing weight or one of an impossible shape by the layout's name, or if the number of heads cannot be guessed.
VitConfig vit_config(const TensorMap& weights, const Layout& layout, const std::string& source,
                     const Unwritten& unwritten = {});
ClipConfig clip_config(const TensorMap& weights, const Layout& layout, const std::string& source,
                       const Unwritten& unwritten = {});

}  // namespace vitrail::nn
