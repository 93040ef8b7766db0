#include "vitrail/nn/weights/llava_names.h"

#include "vitrail/core/text.h"
#include "vitrail/nn/weights/llama_names.h"
#include "vitrail/nn/weights/pattern.h"
#include "vitrail/nn/weights/table.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace vitrail::nn {
namespace {

constexpr std::string_view kTower = "vision_tower.", kProjector = "projector.", kDecoder = "language_model.",
                           kOwnHead = "language_model.lm_head.weight";
constexpr std::string_view kLlavaBuffers[] = {"rotary_emb.inv_freq", "embeddings.position_ids"};

bool take_beginning(std::string_view& name, std::string_view beginning) {
  if (!name.starts_with(beginning)) return false;
  name.remove_prefix(beginning.size());
  return true;
}

template <size_t N>
void take_words(std::string_view& name, const std::string_view (&words)[N]) {
  while (std::any_of(std::begin(words), std::end(words),
                     [&](std::string_view word) { return take_beginning(name, word); })) {
  }
}

std::string joined_name(std::string_view a, std::string_view b) { return std::string(a) + std::string(b); }

/// LLaVA's own projector is a list in which the activations count: 0, 2, 4 are linear_1, linear_2, linear_3.
std::string own_projector(std::string_view name) {
  if (const auto match = match_name("*.%", name); match && match->block.size() < 3) {
    const int place = std::stoi(std::string(match->block));
    if (place % 2 == 0) return "linear_" + std::to_string(place / 2 + 1) + "." + std::string(match->leaf);
  }
  return "linear_1." + std::string(name);
}

/// A name without the words that versions of transformers put in front of it, beginning with the part of a Llava that
/// it belongs to. Names inside the tower are still theirs. Nothing for a weight that belongs to no part.
std::optional<std::string> with_our_part(std::string_view name) {
  constexpr std::string_view kModels[] = {"model."}, kTowers[] = {"vision_tower.", "vision_model."};
  std::string_view rest = name;
  take_words(rest, kModels);
  if (std::string_view inside = rest; take_words(inside, kTowers), inside.size() < rest.size())
    return joined_name(kTower, inside);
  if (take_beginning(rest, "multi_modal_projector.")) return joined_name(kProjector, rest);
  if (take_beginning(rest, "mm_projector.")) return joined_name(kProjector, own_projector(rest));
  if (take_beginning(rest, "connector.modality_projection.proj."))
    return joined_name(kProjector, joined_name("linear_1.", rest));
  const std::optional<std::string> in_decoder = llama_name(rest);
  return in_decoder ? std::optional(joined_name(kDecoder, *in_decoder)) : std::nullopt;
}

struct Part {
  std::string_view ours, theirs;
};
/// The beginnings of the names that are written.
std::vector<Part> written_parts(LlavaNames names, NamesOf which) {
  if (names == LlavaNames::idefics3)
    return {{"vision_tower.", "model.vision_model."},
            {"projector.linear_1.", "model.connector.modality_projection.proj."},
            {"language_model.lm_head.", "lm_head."},
            {"language_model.", "model.text_model."}};
  if (which == NamesOf::modules)
    return {{"vision_tower.", "model.vision_tower."},
            {"projector.linear_1.", "model.multi_modal_projector.linear_1."},
            {"projector.linear_2.", "model.multi_modal_projector.linear_2."},
            {"language_model.lm_head.", "lm_head."},
            {"language_model.", "model.language_model."}};
  return {{"vision_tower.", "vision_tower.vision_model."},
          {"projector.linear_1.", "multi_modal_projector.linear_1."},
          {"projector.linear_2.", "multi_modal_projector.linear_2."},
          {"language_model.lm_head.", "language_model.lm_head."},
          {"language_model.", "language_model.model."}};
}

const Layout& layout_of_tower(bool class_token) { return class_token ? kHfClipVisionLayout : kHfSiglipVisionLayout; }

/// The name in such a file; nothing for a weight that the models do not have.
std::optional<std::string> written_name(std::string_view ours, LlavaNames names, NamesOf which) {
  for (const Part& part : written_parts(names, which)) {
    std::string_view rest = ours;
    if (!take_beginning(rest, part.ours)) continue;
    if (part.ours == kDecoder && !llama_name(rest)) break;
    if (part.ours != kTower) return joined_name(part.theirs, rest);
    const bool clip = rest == "cls_token" || rest.starts_with("norm_pre.");
    return joined_name(part.theirs, name_in_layout(layout_of_tower(clip), rest));
  }
  return std::nullopt;
}

}  // namespace

const Layout& tower_layout(const VitConfig& tower) { return layout_of_tower(tower.class_token); }

Converted llava_from_hf(const TensorMap& theirs, bool tied) {
  Converted result;
  TensorMap tower, others;
  std::vector<std::string> tower_names;
  for (const auto& [name, t] : theirs) {
    const std::string_view whole = name;
    if (std::any_of(std::begin(kLlavaBuffers), std::end(kLlavaBuffers), [&](auto end) { return whole.ends_with(end); }))
      continue;
    const std::optional<std::string> ours = with_our_part(name);
    if (tied && ours == kOwnHead) continue;
    const bool in_tower = ours && ours->starts_with(kTower);
    const std::string key = in_tower ? ours->substr(kTower.size()) : ours.value_or(name);
    check<IoError>((in_tower ? tower : result.weights).emplace(key, t).second, "load",
                   "'{}' is there a second time under another name: both are our {}", name, key);
    if (ours) result.taken.push_back(name);
  }
  Converted in_tower = from_layout(layout_of_tower(tower.contains("embeddings.class_embedding")), tower);
  for (auto& [name, t] : in_tower.weights) result.weights[joined_name(kTower, name)] = std::move(t);
  result.notes = std::move(in_tower.notes);
  return result;
}

std::string llava_name(std::string_view ours, LlavaNames names, NamesOf which) {
  return written_name(ours, names, which).value_or(std::string(ours));
}

std::optional<PlaceInOurs> llava_place(std::string_view theirs) {
  const std::optional<std::string> ours = with_our_part(theirs);
  if (!ours || !ours->starts_with(kTower)) return ours ? std::optional(PlaceInOurs{.name = *ours}) : std::nullopt;
  const std::string inside = ours->substr(kTower.size());
  for (const bool class_token : {true, false})  // they have the same names but for what SigLIP lacks
    if (auto place = place_in_ours(layout_of_tower(class_token), inside)) {
      place->name.insert(0, kTower);
      return place;
    }
  return std::nullopt;
}

TensorMap llava_to_hf(const TensorMap& ours, LlavaNames names, NamesOf which) {
  TensorMap result;
  std::vector<std::string> homeless;
  for (const auto& [name, t] : ours) {
    if (name.starts_with(kTower)) continue;
    if (const auto theirs = written_name(name, names, which))
      result[*theirs] = t;
    else
      homeless.push_back(name);
  }
  check<ConfigError>(homeless.empty(), "layout", "models of Hugging Face {} have no place for {}",
                     names == LlavaNames::llava ? "LLaVA" : "Idefics3",
                     joined(
                         homeless, [](const std::string& name) { return name; }, 12));
  const TensorMap tower = without_prefix(ours, kTower);
  const std::string_view prefix = written_parts(names, which).front().theirs;
  Layout layout = layout_of_tower(tower.contains("cls_token"));
  layout.written_prefix = nullptr;  // it stands in ours
  for (const auto& [name, t] : to_layout(layout, tower).weights) result[joined_name(prefix, name)] = t;
  return result;
}

}  // namespace vitrail::nn
