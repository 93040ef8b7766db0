#include "vitrail/recipes/models/start_weights.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/core/ops.h"
#include "vitrail/data/sources/class_match.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/weights/transfer.h"
#include "vitrail/recipes/models/hub_json.h"
#include "vitrail/recipes/models/model_family.h"
#include "vitrail/recipes/models/model_metadata.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/peft_adapter.h"
#include "vitrail/recipes/models/published_model.h"
#include "vitrail/recipes/models/start_architecture.h"
#include "vitrail/recipes/models/weights_file.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace vitrail::recipes {
namespace {

StartWeights read_file_of_weights(const std::filesystem::path& file, const std::vector<std::string>& accept_keys) {
  if (is_adapter(file)) {
    PublishedModel model = read_published_model(file, {.accept_keys = accept_keys});
    return {.tensors = std::move(model.weights),
            .layout = model.layout,
            .notes = std::move(model.notes),
            .classes = std::move(model.classes),
            .unwritten = model.architecture->unwritten()};
  }
  const safetensors::Reader reader(file);
  const nn::Layout* layout = nn::find_layout(reader.names());
  if (!layout) return {.tensors = read_own_names(reader), .notes = {}, .classes = published_classes(file, accept_keys)};
  nn::Converted converted = read_in_layout(reader, *layout, {.training_head = false});
  StartWeights start{.tensors = std::move(converted.weights),
                     .layout = layout,
                     .notes = std::move(converted.notes),
                     .classes = published_classes(file, accept_keys)};
  start.unwritten =
      stated_beside(file, accept_keys, start.notes).or_else(unwritten_in(reader.metadata(), file.string()));
  return start;
}

Tensor rows_of(const Tensor& matrix, const std::vector<int64_t>& rows) {
  std::vector<Tensor> parts;
  parts.reserve(rows.size());
  for (const int64_t row : rows) parts.push_back(matrix.slice(0, row, row + 1));
  return core::concat(parts, 0);
}

}  // namespace

StartWeights read_weights(const std::filesystem::path& path, const std::vector<std::string>& accept_keys) {
  if (const auto file = published_weights(path)) return read_file_of_weights(*file, accept_keys);
  OpenModel run = open_model(path);
  return {
      .tensors = nn::state(*run.backbone), .notes = {}, .classes = std::move(run.classes), .pixels = run.preprocessing};
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
    if (wanted.count != known.count) return;  // load_pretrained starts a classifier of another size anew
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

StartWeights read_clip_weights(const std::filesystem::path& path, const std::vector<std::string>& accept_keys) {
  const auto file = published_weights(path);
  StartWeights start = file ? read_file_of_weights(*file, accept_keys)
                            : StartWeights{.tensors = nn::state(*open_model(path).network), .notes = {}};
  check<IoError>(start.tensors.contains("text.token_embedding.weight"), "init", "{} has no text tower", path.string());
  return start;
}

std::vector<std::string> load_start(nn::Backbone& model, StartWeights start, const std::string& init,
                                    const Preprocessing& pixels) {
  std::vector<std::string> notes = std::move(start.notes);
  if (const nn::VisionTransformer* const vit = nn::find_vit(model))
    for (std::string& note : differences(vit->config, start.unwritten)) notes.push_back(std::move(note));
  try {
    for (std::string& note : nn::load_pretrained(model, start.tensors, init, start.layout))
      notes.push_back(std::move(note));
  } catch (const IoError& error) {
    const std::string hint = fit_hint(nn::state(model), start.tensors);
    fail<IoError>("init", "{}\n  {}{}model=from_init takes the whole architecture from the weights", error.what(), hint,
                  hint.empty() ? "" : "; ");
  }
  if (start.pixels && (start.pixels->mean != pixels.mean || start.pixels->std != pixels.std))
    notes.push_back(
        fmt::format("was trained on pixels of mean [{}] and std [{}]; data.mean=[{}] data.std=[{}] shows it "
                    "the same here",
                    fmt::join(start.pixels->mean, ", "), fmt::join(start.pixels->std, ", "),
                    fmt::join(start.pixels->mean, ", "), fmt::join(start.pixels->std, ", ")));
  for (std::string& note : notes) note = "[init] " + init + ": " + note;
  const std::string layout = start.layout ? ", in the layout of " + std::string(start.layout->title) : "";
  notes.insert(notes.begin(), "[init] weights of " + init + layout);
  return notes;
}

StartWeights without_texts(StartWeights start) {
  if (!start.layout) return start;
  if (start.layout->family == nn::Family::clip) {
    start.tensors = without_prefix(start.tensors, "visual.");
    start.layout = nullptr;  // whose names have a prefix
  } else if (start.layout->name != "hf_clip_vision") {
    return start;
  }
  if (start.tensors.erase("head.weight") > 0)
    start.notes.emplace_back("the projection to the space of both towers is left out");
  start.unwritten.causal.reset();
  start.unwritten.text_pool.reset();
  return start;
}

std::vector<std::string> differences(const nn::VitConfig& model, const nn::Unwritten& weights) {
  std::vector<std::string> notes;
  if (weights.num_heads && *weights.num_heads != model.num_heads)
    notes.push_back(fmt::format("the weights are of {} heads, the model has {}", *weights.num_heads, model.num_heads));
  if (weights.gelu && *weights.gelu != model.gelu && model.ffn == nn::Ffn::mlp)
    notes.push_back(fmt::format("the weights were made with {}, the model has {}", gelu_title(*weights.gelu),
                                gelu_title(model.gelu)));
  if (weights.pool && *weights.pool != model.pool)
    notes.emplace_back("the weights' own model pools its tokens in another way");
  if (!weights.causal.value_or(true) || weights.text_pool.value_or(nn::TextPool::argmax) != nn::TextPool::argmax)
    notes.emplace_back("the weights' own model reads texts without a causal mask, or elsewhere than at their end");
  return notes;
}

}  // namespace vitrail::recipes
