#include "vitrail/nn/weights/transfer.h"

#include "vitrail/nn/state_io.h"
#include "vitrail/nn/weights/architecture.h"

#include <algorithm>

namespace vitrail::nn {
namespace {

std::string text(ag::Grid grid) { return std::to_string(grid.height) + "x" + std::to_string(grid.width); }

/// Converts pos_embed [1, prefix + N, C] to the model's rows: class token, distillation token, ..., patches.
void fit_positions(const VisionTransformer& model, TensorMap& weights, std::vector<std::string>& notes) {
  const auto found = weights.find("pos_embed");
  if (found == weights.end()) return;
  if (!model.pos_embed) {
    notes.emplace_back("pos_embed is left out: the model has rotary positions");
    weights.erase(found);
    return;
  }
  Tensor& table = found->second;
  const Tensor& mine = model.pos_embed->value();
  if (table.rank() != 3 || table.size(0) != 1 || table.size(2) != mine.size(2)) return;  // load_state() throws
  if (table.size(1) == mine.size(1) && weights.contains("dist_token") == model.config.distilled) return;

  const int64_t read = (weights.contains("cls_token") ? 1 : 0) + (weights.contains("dist_token") ? 1 : 0);
  const int64_t registers = weights.contains("reg_token") ? weights.at("reg_token").size(1) : 0;
  const auto positions = position_table(table, read, registers);
  if (!positions) return;
  const int64_t prefix = positions->prefix;
  const ag::Grid from{positions->side, positions->side};
  const int64_t side = model.config.grid_side(), wanted = model.config.prefix_positions();
  const ag::Grid to{side, side};

  const Tensor rows = table.select(0, 0).to(mine.dtype());
  std::vector<Tensor> parts;
  if (const int64_t shared = std::min(prefix, wanted); shared > 0) parts.push_back(rows.slice(0, 0, shared));
  if (wanted > prefix) parts.push_back(mine.select(0, 0).slice(0, prefix, wanted));
  const Tensor patches = rows.slice(0, prefix, rows.size(0)).contiguous();
  parts.push_back(from == to ? patches : core::resample_positions(patches, from, to, model.config.pos_interp));
  table = core::concat(parts, 0).unsqueeze(0);
  if (!(from == to)) notes.push_back("pos_embed is resampled from " + text(from) + " to " + text(to) + " patches");
}

bool may_differ(std::string_view name) {
  constexpr std::string_view kPrefixes[] = {"head.", "head_dist.", "fc.", "dist_token", "mask_token"};
  return std::any_of(std::begin(kPrefixes), std::end(kPrefixes), [&](auto p) { return name.starts_with(p); });
}

/// Removes weights that the model does not have, and fills in the model's own where the file has none.
void fit_heads(const TensorMap& mine, TensorMap& weights, std::vector<std::string>& notes) {
  for (auto it = weights.begin(); it != weights.end();) {
    const bool extra = may_differ(it->first) && !mine.contains(it->first);
    if (extra) notes.push_back(it->first + " is left out: the model has none");
    it = extra ? weights.erase(it) : std::next(it);
  }
  for (const auto& [name, value] : mine) {
    const auto found = weights.find(name);
    if (found == weights.end() && (name.ends_with(".lora_a") || name.ends_with(".lora_b")))
      weights[name] = value.clone();
    if (!may_differ(name) || (found != weights.end() && found->second.shape() == value.shape())) continue;
    notes.push_back(
        name + " " + to_string(value.shape()) + " starts anew: " +
        (found == weights.end() ? "the file has none" : "it is " + to_string(found->second.shape()) + " in the file"));
    weights[name] = value.clone();
  }
}

}  // namespace

std::vector<std::string> load_pretrained(Backbone& model, TensorMap weights, const std::string& source,
                                         const Layout* layout) {
  std::vector<std::string> notes;
  if (const VisionTransformer* const vit = find_vit(model)) fit_positions(*vit, weights, notes);
  fit_heads(state(model), weights, notes);
  if (layout)
    load_state(model, weights, *layout, source);
  else
    load_state(model, weights, source);
  return notes;
}

}  // namespace vitrail::nn
