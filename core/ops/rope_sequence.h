// Rotary positions of a sequence: the place of a token as a rotation of its queries and keys. rope.h rotates.
#pragma once

#include "vitrail/core/ops/rope.h"

#include <vector>

namespace vitrail::core {

/// How the angles of a model are stretched, so that it reads longer texts than those of its first training.
struct RopeScaling {
  enum class Kind {
    none,
    linear,  // all frequencies / factor
    llama3,  // low frequencies / factor, high ones as they are, a ramp between
  };
  Kind kind = Kind::none;
  double factor = 1;
  // llama3: a pair that turns less often than low_freq_factor times in original_context tokens has a low frequency, one
  // that turns more often than high_freq_factor times a high one.
  double low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_context = 8192;

  bool operator==(const RopeScaling&) const = default;
};

/// The angle by which each of the D / 2 pairs of a head turns from one token to the next: base^(-2 i / D) for pair i,
/// then scaled.
/// Throws: ShapeError if head_dim, D, is not even and positive; ConfigError if base or a factor is not positive, or if
///         high_freq_factor is not above low_freq_factor.
/// Source: Su et al. 2021 (arXiv:2104.09864), eq. 15; linear: Chen et al. 2023 (arXiv:2306.15595); llama3: the rule of
///         Llama 3.1.
std::vector<double> rope_frequencies(int64_t head_dim, double base, const RopeScaling& scaling = {});

/// The angles of tokens at these positions: i64 [N] -> [N, D / 2]. Dtype: f32 or f64, computed in double.
/// Throws: ShapeError for positions of another type or rank.
Rope make_rope(const Tensor& positions, const std::vector<double>& frequencies, DType dtype);

}  // namespace vitrail::core
