#include "vitrail/recipes/models/start_weights.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/published_model.h"
#include "vitrail/recipes/models/weights_file.h"

#include <utility>

namespace vitrail::recipes {
namespace {

StartWeights read_file_of_weights(const std::filesystem::path& file) {
  const safetensors::Reader reader(file);
  const nn::Layout* layout = nn::find_layout(reader.names());
  if (!layout) return {read_own_names(reader), nullptr, {}};
  nn::Converted converted = read_in_layout(reader, *layout, {.training_head = false});
  return {std::move(converted.weights), layout, std::move(converted.notes)};
}

}  // namespace

StartWeights read_weights(const std::filesystem::path& path) {
  if (const auto file = published_weights(path)) return read_file_of_weights(*file);
  const OpenModel run = open_model(path);
  return {nn::state(*run.backbone), nullptr, {}, run.preprocessing};
}

TensorMap read_clip_weights(const std::filesystem::path& path) {
  const auto file = published_weights(path);
  TensorMap weights = file ? read_file_of_weights(*file).tensors : nn::state(*open_model(path).network);
  check<IoError>(weights.contains("text.token_embedding.weight"), "init", "{} has no text tower", path.string());
  return weights;
}

}  // namespace vitrail::recipes
