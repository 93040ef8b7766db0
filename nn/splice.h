// Splice: the sequences of a batch of texts in which images stand.
#pragma once

#include "vitrail/core/tensor.h"

#include <cstdint>
#include <span>
#include <vector>

namespace vitrail::nn {

/// Among the ids of a text: an image stands here. Among labels: no loss reads this token.
inline constexpr int64_t kImagePlace = -200, kNoLabel = -100;

/// A text as its ids, and the id that each token should be predicted as. labels may be empty: none.
struct LabelledText {
  std::vector<int64_t> ids, labels;
};

enum class PadSide { right, left };

struct SpliceOptions {
  int64_t image_tokens = 0;           // that each image becomes
  int64_t max_length = 0;             // of a sequence after that; what is longer is cut at its end; 0: no limit
  PadSide pad_side = PadSide::right;  // left: texts that are continued end at the same place
};

/// Where each token of a batch comes from. Images count in the order of their places, text by text; those that are cut
/// off whole count too.
struct Splice {
  Tensor ids;                       // i64 [W]: the words of all sequences, one after the other
  Tensor rows;                      // i64 [B, T]: a row of: W words, images * image_tokens features, one row of padding
  std::vector<int64_t> lengths;     // of the B sequences
  std::vector<int64_t> image_ends;  // the place after the first image of each sequence; 0: it has none
  int64_t images = 0;
  int64_t image_tokens = 0;
  PadSide pad_side = PadSide::right;
  Tensor predicting, targets;  // i64 [S]: the tokens (b * T + t) whose successors have labels, and these labels

  /// The number of sequences, B, and their length with padding, T.
  int64_t batch() const { return rows.size(0); }
  int64_t length() const { return rows.size(1); }
  /// Tokens that the loss reads.
  int64_t supervised() const { return targets.numel(); }
};

/// Puts the tokens of images in their places. They have no labels.
/// Throws ShapeError if a text is empty, has a number of labels that is not that of its ids, a negative id that is not
/// kImagePlace, or a label at the place of an image.
/// Source: Liu et al. 2023 (arXiv:2304.08485); prepare_inputs_labels_for_multimodal in haotian-liu/LLaVA.
Splice splice(std::span<const LabelledText> texts, const SpliceOptions& options);

}  // namespace vitrail::nn
