#include "tests/support/clip_golden.h"

#include "tests/support/reference.h"

#include <cmath>
#include <fstream>
#include <string>
#include <vector>

namespace vitrail::test {
namespace {

using nlohmann::json;

/// Weight number i, by the rules in the file's "fill".
Tensor weight(const std::string& name, const Shape& shape, uint32_t i) {
  const uint32_t seed = i + 1;
  if (name == "logit_scale") return scalar(double(float(std::log(1 / 0.07))), DType::f64);
  if (name.ends_with("bias")) return hashed(shape, seed, 0.2);
  if (name.find("ln_") != name.npos) return hashed(shape, seed, 0.2, 1);
  if (name.find("embedding") != name.npos) return hashed(shape, seed, 0.5);
  const bool projection = name == "visual.proj" || name == "text_projection";
  return hashed(shape, seed, 3 / std::sqrt(double(projection ? shape[0] : shape.numel() / shape[0])));
}

}  // namespace

Tensor hashed(const Shape& shape, uint32_t seed, double scale, double offset) {
  std::vector<double> values;
  values.reserve(size_t(shape.numel()));
  for (uint32_t j = 0; j < uint32_t(shape.numel()); ++j) {
    uint32_t x = j * 2654435761u + seed * 40503u + 12345u;
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    x ^= x >> 16;
    values.push_back(double(float(offset + scale * (double(x) / 4294967296.0 - 0.5))));
  }
  return tensor(values, shape);
}

Tensor matrix(const json& rows) {
  std::vector<double> values;
  for (const json& row : rows)
    for (double v : row) values.push_back(v);
  return tensor(values, {int64_t(rows.size()), int64_t(rows[0].size())});
}

std::optional<ClipGolden> clip_golden() {
  const auto path = reference_path("clip_tiny_golden.json");
  if (!path) return std::nullopt;
  ClipGolden golden;
  golden.file = json::parse(std::ifstream(*path));
  const json& keys = golden.file["keys"];
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::string name = keys[i][0];
    golden.weights[name] = weight(name, Shape(keys[i][1].get<std::vector<int64_t>>()), uint32_t(i));
  }
  const json& ids = golden.file["ids"];
  const auto length = golden.file["config"]["context_length"].get<int64_t>();
  golden.ids = zeros({int64_t(ids.size()), length}, DType::i64);
  for (size_t b = 0; b < ids.size(); ++b)
    for (size_t i = 0; i < ids[b].size(); ++i) golden.ids.data<int64_t>()[int64_t(b) * length + int64_t(i)] = ids[b][i];
  constexpr uint32_t kImageSeed = 1000;
  golden.images = hashed({int64_t(ids.size()), 3, 32, 32}, kImageSeed, 4);
  return golden;
}

}  // namespace vitrail::test
