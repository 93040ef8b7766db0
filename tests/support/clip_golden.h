// clip_tiny_golden.json: a tiny CLIP and its outputs. Its weights and inputs are hashes of their positions.
#pragma once

#include "vitrail/core/tensor_map.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>

namespace vitrail::test {

struct ClipGolden {
  nlohmann::json file;  // "config", and the expected "results"
  TensorMap weights;    // under OpenAI's names, f64
  Tensor images, ids;   // f64, i64
};

/// Nothing, with a line in the test's log, if there is no such file.
std::optional<ClipGolden> clip_golden();

/// The fill of the golden files: scale times a hash of position and seed in [-0.5, 0.5), plus offset; f64, rounded to
/// f32.
Tensor hashed(const Shape& shape, uint32_t seed, double scale, double offset = 0);

/// Lists of numbers of one length as a matrix.
Tensor matrix(const nlohmann::json& rows);

}  // namespace vitrail::test
