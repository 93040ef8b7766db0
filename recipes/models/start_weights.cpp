#include "vitrail/recipes/models/start_weights.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/core/ops.h"
#include "vitrail/data/sources/class_match.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/published_model.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace vitrail::recipes {
namespace {

StartWeights read_file_of_weights(const std::filesystem::path& file) {
  const safetensors::Reader reader(file);
  const nn::Layout* layout = nn::find_layout(reader.names());
  if (!layout) return {reader.read_all(), nullptr, {}, published_classes(file)};
  nn::Converted converted = nn::from_layout(*layout, reader.read_all());
  return {std::move(converted.weights), layout, std::move(converted.notes), published_classes(file)};
}

Tensor rows_of(const Tensor& matrix, const std::vector<int64_t>& rows) {
  std::vector<Tensor> parts;
  parts.reserve(rows.size());
  for (const int64_t row : rows) parts.push_back(matrix.slice(0, row, row + 1));
  return core::concat(parts, 0);
}

}  // namespace

StartWeights read_weights(const std::filesystem::path& path) {
  if (const auto file = published_weights(path)) return read_file_of_weights(*file);
  OpenModel model = open_model(path);
  return {nn::state(*model.backbone), nullptr, {}, std::move(model.classes)};
}

void fit_classifier(StartWeights& start, const std::vector<std::string>& classes) {
  if (start.classes.empty() || start.classes == classes) return;
  const data::ClassList wanted{.owner = "the data", .names = classes, .count = int64_t(classes.size())},
      known{.owner = "the file", .names = start.classes, .count = int64_t(start.classes.size())};
  std::optional<data::ClassMatch> match;
  try {
    match = data::match_classes("init", wanted, known);
    start.notes.push_back(match->note.empty() ? "the classifier's rows are taken by the names of the classes"
                                              : match->note);
  } catch (const DataError&) {
    start.notes.push_back(fmt::format("the classifier is left out: the data has the classes {}, the file {}",
                                      data::shortened_list(classes), data::shortened_list(start.classes)));
  }
  for (const char* name : {"head.weight", "head.bias", "head_dist.weight", "head_dist.bias", "fc.weight", "fc.bias"}) {
    const auto found = start.tensors.find(name);
    if (found == start.tensors.end() || found->second.size(0) != known.count) continue;
    if (match)
      found->second = rows_of(found->second, match->to);
    else
      start.tensors.erase(found);
  }
}

TensorMap read_clip_weights(const std::filesystem::path& path) {
  const auto file = published_weights(path);
  TensorMap weights = file ? read_file_of_weights(*file).tensors : nn::state(*open_model(path).network);
  check<IoError>(weights.contains("text.token_embedding.weight"), "init", "{} has no text tower", path.string());
  return weights;
}

}  // namespace vitrail::recipes
