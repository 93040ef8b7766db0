#include "vitrail/nn/models/llava.h"

#include "vitrail/nn/pixel_shuffle.h"

#include <algorithm>

namespace vitrail::nn {
namespace {

/// The block whose output a feature layer is.
int64_t block_of(int64_t layer, int64_t depth) {
  const int64_t block = layer < 0 ? depth + layer : layer - 1;
  check<ConfigError>(layer != 0 && 0 <= block && block < depth, "llava",
                     "feature layer {}: a tower of {} blocks has the layers 1 to {}, or -1 to -{}", layer, depth, depth,
                     depth);
  return block;
}

/// Images without the pixels on the right and at the bottom that fill no patch, as a convolution leaves them out.
Var whole_patches(const Var& images, int64_t patch) {
  Var x = images;
  for (const int axis : {2, 3})
    if (const int64_t side = x.size(axis) / patch * patch; side != x.size(axis)) x = slice(x, axis, 0, side);
  return x;
}

/// The place of a part that stays f32 in a model whose other weights are bf16: tables and norms are no products.
Scope f32_scope(const Scope& scope) { return scope.dtype() == DType::bf16 ? scope.frozen(DType::f32) : scope; }

/// Rows of features of an image after the pixel shuffle, and tokens of each.
ag::Grid feature_grid(const LlavaConfig& c) {
  const int64_t side = c.vision.grid_side() / c.pixel_shuffle;
  return {side, side};
}

const LlavaConfig& checked_llava(const LlavaConfig& c) {
  check<ConfigError>(!c.feature_layers.empty(), "llava", "feature_layers is empty; LLaVA's is -2");
  check<ConfigError>(c.pixel_shuffle >= 1 && c.vision.grid_side() % c.pixel_shuffle == 0, "llava",
                     "pixel_shuffle is {}; an image has {} patches along a side, which must be a multiple of it",
                     c.pixel_shuffle, c.vision.grid_side());
  if (c.tower == VisionTower::patches) {
    check<ConfigError>(c.pixel_shuffle == 1 && c.projector.depth == 0, "llava",
                       "raw patches are embedded by one layer: they need pixel_shuffle 1 and no projector");
    return c;
  }
  check<ConfigError>(c.vision.num_classes == 0, "llava", "the tower has {} classes; features need none",
                     c.vision.num_classes);
  check<ConfigError>(c.pixel_shuffle == 1 || c.select == FeatureSelect::patch, "llava",
                     "pixel_shuffle {} joins squares of patches: it needs select: patch", c.pixel_shuffle);
  for (const int64_t layer : c.feature_layers) block_of(layer, c.vision.depth);
  return c;
}

}  // namespace

int64_t LlavaConfig::image_tokens() const {
  const auto [rows, columns] = feature_grid(*this);
  if (tower == VisionTower::patches) return rows * (columns + 1);
  const int64_t prefix_tokens = vision.read_tokens() + vision.num_registers;
  return rows * columns + (select == FeatureSelect::full ? prefix_tokens : 0);
}

int64_t LlavaConfig::feature_dim() const {
  if (tower == VisionTower::patches) return text.embed_dim;
  return vision.embed_dim * int64_t(feature_layers.size()) * pixel_shuffle * pixel_shuffle;
}

LlavaConfig LlavaConfig::without_unread_blocks() const {
  if (tower == VisionTower::patches) return *this;
  int64_t depth = 0;
  for (const int64_t layer : feature_layers) depth = std::max(depth, block_of(layer, vision.depth) + 1);
  LlavaConfig result = *this;
  for (int64_t& layer : result.feature_layers) layer = block_of(layer, vision.depth) - depth;
  result.vision.depth = depth;
  return result;
}

Llava::Llava(const Scope& scope, const LlavaConfig& c)
    : Module(scope),
      config(checked_llava(c)),
      projector(sub("projector"), c.feature_dim(), c.text.embed_dim, c.projector),
      language_model(sub("language_model"), c.text) {
  if (c.tower == VisionTower::vit) {
    vision_tower.emplace(f32_scope(sub("vision_tower")), c.vision);
    return;
  }
  patch_embed.emplace(f32_scope(sub("patch_embed")), c.vision.patch_size, c.vision.in_chans, c.text.embed_dim);
  row_end.emplace(f32_scope(sub("row_end")), Shape{1, 1, c.text.embed_dim}, init::normal(0.02), Decay::table);
}

Var Llava::features(const Var& pixels) {
  check<ShapeError>(pixels.rank() == 4, "llava", "needs images [M, C, H, W], was given {}", pixels.shape());
  const Var images = whole_patches(pixels, config.vision.patch_size);
  if (patch_embed) {
    const int64_t count = images.size(0), rows = images.size(2) / config.vision.patch_size;
    const Var patches = (*patch_embed)(images);
    const Var grid = reshape(patches, {count, rows, -1, patches.size(2)});
    const Var ends = expand(*row_end, {count, rows, 1, patches.size(2)});
    return reshape(ag::concat({grid, ends}, 2), {count, -1, patches.size(2)});
  }
  const int64_t depth = config.vision.depth;
  int64_t earliest = depth;
  for (const int64_t layer : config.feature_layers) earliest = std::min(earliest, block_of(layer, depth));
  const std::vector<Tokens> outputs = vision_tower->intermediate_tokens(images, depth - earliest, config.feature_norm);
  std::vector<Var> chosen;
  for (const int64_t layer : config.feature_layers) {
    const Tokens& tokens = outputs[size_t(block_of(layer, depth) - earliest)];
    const bool whole = config.select == FeatureSelect::full && tokens.prefix.size(1) > 0;
    chosen.push_back(whole ? ag::concat({tokens.prefix, tokens.patches}, 1) : tokens.patches);
  }
  const Var joined = chosen.size() == 1 ? chosen[0] : ag::concat(chosen, 2);
  return config.pixel_shuffle == 1 ? joined : pixel_shuffle(joined, outputs[0].grid, config.pixel_shuffle);
}

Splice Llava::splice(std::span<const LabelledText> texts, int64_t max_length, PadSide pad_side) const {
  return nn::splice(texts, {.image_tokens = config.image_tokens(), .max_length = max_length, .pad_side = pad_side});
}

Var Llava::embed(const Splice& batch, const Var& images) {
  const int64_t width = config.text.embed_dim, given = images.defined() ? images.size(0) : 0;
  check<ShapeError>(given == batch.images, "llava", "the texts have {} images, but {} are given", batch.images, given);
  std::vector<Var> rows;
  if (batch.ids.numel() > 0) rows.push_back(reshape(language_model.embed(batch.ids.reshape({1, -1})), {-1, width}));
  if (given > 0) {
    check<ShapeError>(images.rank() == 3 && images.size(1) == batch.image_tokens && images.size(2) == width, "llava",
                      "images are {}; the texts have room for [{}, {}, {}]", images.shape(), given, batch.image_tokens,
                      width);
    rows.push_back(reshape(images, {-1, width}));
  }
  const DType type = dtype() == DType::f64 ? DType::f64 : DType::f32;
  // Without images the projector's gradient is zero, as in LLaVA, and the optimizer counts the step for it too.
  if (given == 0) rows.push_back(slice(project(zeros({1, config.feature_dim()}, type)), 0, 0, 0));
  rows.emplace_back(zeros({1, width}, type));  // of padding
  const Var sequence = index_select(ag::concat(rows, 0), 0, batch.rows.reshape({-1}));
  return reshape(sequence, {batch.batch(), batch.length(), width});
}

LlamaInput Llava::decoder_input(const Splice& batch) const {
  LlamaInput input;
  const auto start = [&](size_t b) {
    return batch.pad_side == PadSide::left ? batch.length() - batch.lengths[b] : int64_t{0};
  };
  // Padding on the right comes after all words, which do not see it.
  if (batch.pad_side == PadSide::left) {
    input.mask = ones({batch.batch(), batch.length()}, DType::u8);
    for (size_t b = 0; b < batch.lengths.size(); ++b)
      std::fill_n(input.mask.data<uint8_t>() + int64_t(b) * batch.length(), start(b), uint8_t(0));
  }
  if (!config.prefix) return input;
  for (size_t b = 0; b < batch.lengths.size(); ++b) {
    const int64_t end = start(b) + batch.image_ends[b];
    check<ShapeError>(b == 0 || end == input.prefix, "llava",
                      "with prefix: true the first images of a batch must end at the same token; they end at {} in the "
                      "first text and at {} in text {}: put texts of the same beginning in a batch",
                      input.prefix, end, b);
    input.prefix = end;
  }
  return input;
}

Var Llava::hidden(const Splice& batch, const Var& images, KvCache* cache) {
  return language_model.hidden(embed(batch, images), cache, decoder_input(batch));
}

Var Llava::loss(const Splice& batch, const Var& images) {
  check<ShapeError>(batch.supervised() > 0, "llava",
                    "no token of the {} texts has a label; labels that lie behind max_length are cut off",
                    batch.batch());
  if (config.prefix) {
    const int64_t prefix = decoder_input(batch).prefix;
    for (const int64_t token : batch.predicting.span<int64_t>())
      check<ShapeError>(token % batch.length() + 1 >= prefix, "llava",
                        "a token before the end of the image has a label; with prefix: true it is seen in advance");
  }
  const Var tokens = reshape(hidden(batch, images), {-1, config.text.embed_dim});
  return cross_entropy(language_model.logits(index_select(tokens, 0, batch.predicting)), batch.targets);
}

Var Llava::forward(const Splice& batch, const Var& pixels) {
  const Var images = pixels.defined() ? project(features(pixels)) : Var();
  return language_model.logits(hidden(batch, images));
}

}  // namespace vitrail::nn
