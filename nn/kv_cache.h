// KvCache: the keys and values of the tokens that a decoder has read, so that the next token costs one token.
#pragma once

#include "vitrail/core/tensor.h"

#include <vector>

namespace vitrail::nn {

/// Rotated keys and values of each layer. A forward pass appends those of its tokens, layer by layer, and calls
/// advance(); a pass that throws leaves the cache as it was. Memory grows in steps of 256 tokens.
class KvCache {
 public:
  struct KeysValues {
    Tensor keys, values;  // [B, H, N, D]
  };

  /// The number of tokens of each sample, padding included.
  int64_t length() const { return length_; }
  /// u8 [B, length()]: 0 marks padding. Undefined if there is none.
  const Tensor& mask() const { return mask_; }

  /// Writes the keys and values of the T tokens that come next, [B, H, T, D], and returns all of the layer's,
  /// [B, H, length() + T, D], as views. Throws ShapeError if they do not fit those that are there.
  KeysValues append(size_t layer, const Tensor& keys, const Tensor& values);
  /// The T tokens that every layer has appended now count. mask: of all tokens, u8 [B, length() + T], or undefined.
  void advance(int64_t tokens, const Tensor& mask);
  /// Forgets all tokens but the first `length`: several questions about one image read the image once.
  /// Throws ShapeError if there are fewer.
  void truncate(int64_t length);

 private:
  std::vector<KeysValues> layers_;  // [B, H, capacity, D]
  Tensor mask_;
  int64_t length_ = 0;
};

}  // namespace vitrail::nn
