// TextTransformer: CLIP's text tower.
#pragma once

#include "vitrail/nn/backbone.h"
#include "vitrail/nn/embedding.h"
#include "vitrail/nn/transformer_block.h"

namespace vitrail::nn {

/// The token whose last output is the feature of a text: the largest id (the first if tied), the first token, or the
/// last place of the context, whatever it holds.
enum class TextPool { argmax, first, last };

struct TextConfig {
  int64_t vocab_size = 49408;
  int64_t context_length = 77;
  int64_t embed_dim = 512;
  int64_t depth = 12;
  int64_t num_heads = 8;
  int64_t out_dim = 512;
  double mlp_ratio = 4;
  ag::Gelu gelu = ag::Gelu::erf;
  double ln_eps = 1e-5;
  double layerscale_init = 0;  // 0: no LayerScale
  bool causal = true;          // no token sees those after it
  TextPool pool = TextPool::argmax;
};

/// A causal transformer. The feature of a text is the last block's output for its end-of-text token, the largest id. No
/// token before it sees the tokens after it, so the batch is cut after its longest text. TextConfig::causal and pool
/// change that; the padding after a text then counts too, and texts need their whole context.
/// Shape:  ids i64 [B, L], L <= context_length -> [B, out_dim], not normalised; f32 under autocast.
/// Throws: ShapeError for a text that is longer than the context, naming an id outside the vocabulary.
/// Source: Radford et al. 2021 (arXiv:2103.00020), 2.4; blocks are named as in VisionTransformer.
struct TextTransformer final : Module<TextTransformer> {
  TextTransformer(const Scope& scope, const TextConfig& config);

  Var forward(const Tensor& ids, Compute compute = Compute::needed);

  TextConfig config;
  bool checkpoint_blocks = false;  // recompute: keep each block's input alone and run the block again in the sweep

  Embedding token_embedding;
  Param pos_embed;  // [context_length, C]
  ModuleList<TransformerBlock> blocks;
  LayerNorm norm;
  Linear proj;
};

}  // namespace vitrail::nn
