#include "vitrail/nn/weights/layout.h"

#include "vitrail/core/ops.h"
#include "vitrail/core/text.h"
#include "vitrail/nn/weights/pattern.h"
#include "vitrail/nn/weights/table.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

namespace vitrail::nn {
namespace {

constexpr std::array<const Layout*, 12> kLayouts = {&kHfClipLayout,     &kHfClipVisionLayout, &kOpenClipLayout,
                                                    &kOpenaiClipLayout, &kHfDinov2Layout,     &kHfDeitOneHeadLayout,
                                                    &kHfDeitLayout,     &kHfVitLayout,        &kTorchvisionLayout,
                                                    &kDinov2Layout,     &kDinoLayout,         &kTimmLayout};

/// Entries of a training checkpoint that do not belong to the model.
constexpr Unused kOthers[] = {{"student.", "of the student"},       {"model.", "of another model"},
                              {"model_ema.", "of another model"},   {"teacher.", "of the teacher"},
                              {"optimizer.", "of the optimizer"},   {"dino_loss.", "of the loss"},
                              {"fp16_scaler.", "of the optimizer"}, {"args.", "settings"}};

/// Lists that are errors are long; notes are short, because every command prints them.
constexpr size_t kShown = 12, kNoted = 3;

std::string shortened(const std::vector<std::string>& names, size_t most = kShown) {
  return joined(
      names, [](const std::string& name) { return name; }, most);
}

// ---- prefixes -------------------------------------------------------------------------------------------------------

/// The prefixes of a file's names. All names have the outer prefix ("teacher."); the names of one part then have the
/// inner prefix ("backbone.").
struct Prefixes {
  std::string outer, inner;

  /// Nothing for a name with other prefixes.
  std::optional<std::string_view> bare(std::string_view name) const {
    if (!name.starts_with(outer)) return std::nullopt;
    name.remove_prefix(outer.size());
    if (name.starts_with(inner)) name.remove_prefix(inner.size());
    return name;
  }
};

std::vector<std::string> names_of(const TensorMap& weights) {
  std::vector<std::string> names;
  names.reserve(weights.size());
  for (const auto& item : weights) names.push_back(item.first);
  return names;
}

/// Text before the layout's anchor in each name that ends with it.
std::vector<std::string> prefixes_in(const Layout& layout, const std::vector<std::string>& names) {
  std::vector<std::string> prefixes;
  for (const std::string& name : names) {
    if (!name.ends_with(layout.anchor)) continue;
    std::string prefix = name.substr(0, name.size() - layout.anchor.size());
    if (prefix.empty() || prefix.back() == '.') prefixes.push_back(std::move(prefix));
  }
  return prefixes;
}

/// The prefixes of the layout's anchor; nothing if the names lack it. Among several models it takes the network of that
/// name, else the teacher, else the one with the shortest prefix.
std::optional<Prefixes> prefixes_of(const Layout& layout, const std::vector<std::string>& names,
                                    std::string_view network = "") {
  std::optional<std::string> best;
  const auto rank = [](const std::string& p) {
    return std::pair(p.find("teacher") == p.npos && p.find("ema") == p.npos, p.size());
  };
  const std::vector<std::string> prefixes = prefixes_in(layout, names);
  for (const std::string& prefix : prefixes)
    if (prefix.find(network) != prefix.npos && (!best || rank(prefix) < rank(*best))) best = prefix;
  check<ConfigError>(best || network.empty(), "load", "the weights are of no network '{}'; their names begin with {}",
                     network, joined(prefixes, [](const std::string& p) { return "'" + p + "'"; }));
  if (!best) return std::nullopt;
  for (const std::string_view inner : layout.inner)
    if (best->ends_with(inner)) return Prefixes{best->substr(0, best->size() - inner.size()), std::string(inner)};
  return Prefixes{*best, ""};
}

// ---- rules ----------------------------------------------------------------------------------------------------------

struct Hit {
  const Rule* rule = nullptr;
  NameMatch match;
};

template <class Accept>
Hit find_rule(const Layout& layout, std::string_view name, std::string_view Rule::*side, const Accept& accept) {
  for (const std::span<const Rule> rules : {layout.rules, layout.more_rules})
    for (const Rule& rule : rules) {
      if (!accept(rule)) continue;
      if (const auto match = match_name(rule.*side, name)) return {&rule, *match};
    }
  return {};
}

Hit rule_of_theirs(const Layout& layout, std::string_view name) {
  return find_rule(layout, name, &Rule::theirs, [](const Rule&) { return true; });
}

/// swiglu: whether the model has SwiGLU layers.
Hit rule_of_ours(const Layout& layout, std::string_view name, bool swiglu) {
  return find_rule(layout, name, &Rule::ours,
                   [&](const Rule& r) { return r.use == Use::both || (r.use == Use::swiglu && swiglu); });
}

bool has_swiglu(const TensorMap& ours) {
  const auto fc1 = ours.find("blocks.0.mlp.fc1.weight"), fc2 = ours.find("blocks.0.mlp.fc2.weight");
  return fc1 != ours.end() && fc2 != ours.end() && fc1->second.rank() == 2 && fc2->second.rank() == 2 &&
         fc1->second.size(0) == 2 * fc2->second.size(1);
}

// ---- forms ----------------------------------------------------------------------------------------------------------

/// Returns an undefined tensor if t cannot take this form. The shapes are then compared unchanged.
Tensor read_form(Form form, const Tensor& t) {
  switch (form) {
    case Form::same:
    case Form::parts:
      return t;
    case Form::transposed:
      return t.rank() == 2 ? t.transpose(0, 1) : Tensor();
    case Form::scalar:
      return t.numel() == 1 ? t.reshape({}) : Tensor();
    case Form::without_axis:
      return t.rank() < kMaxRank ? t.unsqueeze(0) : Tensor();
    case Form::without_axes:
      return t.rank() < kMaxRank - 1 ? t.unsqueeze(0).unsqueeze(0) : Tensor();
  }
  __builtin_unreachable();
}

Tensor write_form(Form form, const Tensor& t) {
  switch (form) {
    case Form::same:
    case Form::parts:
    case Form::scalar:
      return t;
    case Form::transposed:
      return t.rank() == 2 ? t.transpose(0, 1) : Tensor();
    case Form::without_axis:
      return t.rank() > 0 && t.size(0) == 1 ? t.select(0, 0) : Tensor();
    case Form::without_axes:
      return t.rank() > 1 && t.size(0) == 1 && t.size(1) == 1 ? t.select(0, 0).select(0, 0) : Tensor();
  }
  __builtin_unreachable();
}

/// The parts of one of our weights that have been found.
struct Parts {
  std::vector<std::string> names;  // in the file
  std::vector<Tensor> tensors;

  bool complete() const {
    return std::all_of(tensors.begin(), tensors.end(), [&](const Tensor& t) {
      const Tensor& first = tensors[0];
      return t.defined() && first.defined() && t.rank() > 0 && t.shape() == first.shape() && t.dtype() == first.dtype();
    });
  }
};

// ---- both ways ------------------------------------------------------------------------------------------------------

const Unused* unused_by(std::span<const Unused> list, std::string_view name) {
  const auto found = std::find_if(list.begin(), list.end(), [&](auto& u) { return name.starts_with(u.beginning); });
  return found == list.end() ? nullptr : &*found;
}

/// The conversion of a file's weights to our names.
class Reading {
 public:
  Reading(const Layout& layout, const TensorMap& theirs, const Selection& selection)
      : layout_(layout),
        selection_(selection),
        prefixes_(prefixes_of(layout, names_of(theirs), selection.network).value_or(Prefixes{})) {
    for (const auto& [name, t] : theirs) take(name, t);
    for (auto& [ours, parts] : parts_) put_together(ours, parts);
    for (const auto& [what, names] : left_out_)
      result_.notes.push_back(shortened(names, kNoted) + ": left out, " + std::string(what));
  }
  Converted result() && { return std::move(result_); }

 private:
  void take(const std::string& name, const Tensor& t) {
    const auto bare = prefixes_.bare(name);
    if (!bare) {
      const Unused* other = unused_by(kOthers, name);
      if (other)
        left_out_[other->what].push_back(name);
      else
        keep(name, t);
      return;
    }
    const auto& ends = layout_.buffers;
    if (std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return bare->ends_with(end); })) return;
    const Unused* unused = unused_by(layout_.unused, *bare);
    if (!unused && !selection_.training_head) unused = unused_by(layout_.training_head, *bare);
    if (unused) {
      left_out_[unused->what].push_back(name);
      return;
    }
    const auto [rule, match] = rule_of_theirs(layout_, *bare);
    if (!rule) return keep(std::string(*bare), t);
    result_.taken.push_back(name);
    const std::string ours = fill_name(rule->ours, match);
    if (rule->form == Form::parts) {
      Parts& parts = parts_[ours];
      const size_t count = parts_of(rule->theirs);
      parts.names.resize(count);
      parts.tensors.resize(count);
      parts.names[match.part] = *bare;
      parts.tensors[match.part] = t;
      return;
    }
    const Tensor value = read_form(rule->form, t);
    value.defined() ? add(ours, value, name) : keep(std::string(*bare), t);
  }

  void put_together(const std::string& ours, const Parts& parts) {
    if (parts.complete()) return add(ours, core::concat(parts.tensors, 0), parts.names[0]);
    for (size_t i = 0; i < parts.names.size(); ++i)
      if (parts.tensors[i].defined()) keep(parts.names[i], parts.tensors[i]);
  }

  void add(const std::string& ours, const Tensor& value, const std::string& name) {
    check<IoError>(result_.weights.emplace(ours, value).second, "load",
                   "'{}' is there a second time under another name: both are our {}", name, ours);
  }
  /// Keeps a weight under its own name, for compare() to list.
  void keep(const std::string& name, const Tensor& t) { result_.weights.emplace(name, t); }

  const Layout& layout_;
  const Selection selection_;
  Prefixes prefixes_;
  Converted result_;
  std::map<std::string, Parts> parts_;
  std::map<std::string_view, std::vector<std::string>> left_out_;
};

/// Renames and reshapes weights; those without a rule go to without_place.
template <class WithoutPlace>
TensorMap written(const Layout& layout, const TensorMap& ours, const WithoutPlace& without_place) {
  TensorMap theirs;
  const bool swiglu = has_swiglu(ours);
  for (const auto& [name, t] : ours) {
    const auto [rule, match] = rule_of_ours(layout, name, swiglu);
    const int64_t parts = rule ? int64_t(std::max<size_t>(parts_of(rule->theirs), 1)) : 1;
    const Tensor value = rule ? write_form(rule->form, t) : Tensor();
    if (!value.defined() || (parts > 1 && (t.rank() == 0 || t.size(0) % parts != 0))) {
      without_place(theirs, name, t);
      continue;
    }
    NameMatch m = match;
    const int64_t rows = parts > 1 ? t.size(0) / parts : 0;
    for (int64_t i = 0; i < parts; ++i) {
      m.part = size_t(i);
      theirs[fill_name(rule->theirs, m)] = parts > 1 ? value.slice(0, i * rows, (i + 1) * rows) : value;
    }
  }
  return theirs;
}

/// Whether a name gets the outer prefix. Names of a classifier do not.
bool is_inside(std::string_view ours) { return !ours.starts_with("head.") && !ours.starts_with("head_dist."); }

void expect_fit(const ModuleBase& module, const TensorMap& values, const Layout& layout, const std::string& source) {
  const LoadReport report = compare_in_layout(layout, state(module), values);
  check<IoError>(report.ok(), "load", "{}: does not fit the model{}", source, report);
}

}  // namespace

std::span<const Layout* const> layouts() { return kLayouts; }

const Layout& layout_named(std::string_view name) {
  std::string known;
  for (const Layout* layout : kLayouts) {
    if (layout->name == name) return *layout;
    known += (known.empty() ? "" : ", ") + std::string(layout->name);
  }
  fail<ConfigError>("layout", "there is no layout '{}'; there are {}", name, known);
}

const Layout* find_layout(const std::vector<std::string>& names) {
  // Our own names of a Clip; its image tower would look like one of timm's models with a prefix.
  if (std::find(names.begin(), names.end(), "visual.patch_embed.proj.weight") != names.end()) return nullptr;
  for (const Layout* layout : kLayouts) {
    const auto prefixes = prefixes_of(*layout, names);
    if (!prefixes) continue;
    NameSet bare;
    for (const std::string& name : names)
      if (const auto inside = prefixes->bare(name)) bare.emplace(*inside);
    if (layout->recognises(bare)) return layout;
  }
  return nullptr;
}

const Layout& recognise(const std::vector<std::string>& names, const std::string& source) {
  if (const Layout* layout = find_layout(names)) return *layout;
  const std::string known = joined(kLayouts, [](const Layout* layout) { return layout->title; });
  fail<IoError>("load", "{}: its weights have the names of no model known here ({}); they are {}", source, known,
                names.empty() ? "none" : shortened(names));
}

Converted from_layout(const Layout& layout, const TensorMap& theirs, const Selection& selection) {
  return Reading(layout, theirs, selection).result();
}

Converted to_layout(const Layout& layout, const TensorMap& ours) {
  Converted result;
  TensorMap adapted = ours;
  if (layout.adapt) layout.adapt(adapted, result.notes);
  std::vector<std::string> homeless;
  const auto refuse = [&](TensorMap&, const std::string& name, const Tensor&) { homeless.push_back(name); };
  const std::string prefix(layout.written_prefix ? layout.written_prefix(adapted) : "");
  TensorMap inside, outside;
  for (const auto& [name, t] : adapted) (is_inside(name) ? inside : outside)[name] = t;
  for (const auto& [name, t] : written(layout, inside, refuse)) result.weights[prefix + name] = t;
  result.weights.merge(written(layout, outside, refuse));
  check<ConfigError>(homeless.empty(), "layout", "models of {} have no place for {}", layout.title,
                     shortened(homeless));
  return result;
}

std::string name_in_layout(const Layout& layout, std::string_view ours) {
  auto [rule, match] = rule_of_ours(layout, ours, false);
  match.part = kAllParts;
  return rule ? fill_name(rule->theirs, match) : std::string(ours);
}

std::optional<PlaceInOurs> place_in_ours(const Layout& layout, std::string_view theirs) {
  for (const std::string_view inner : layout.inner)
    if (theirs.starts_with(inner)) theirs.remove_prefix(inner.size());
  const auto [rule, match] = rule_of_theirs(layout, theirs);
  if (!rule) return std::nullopt;
  PlaceInOurs place{fill_name(rule->ours, match), match.part, std::max<size_t>(parts_of(rule->theirs), 1)};
  switch (rule->form) {
    case Form::same:
    case Form::parts:
      return place;
    case Form::without_axis:
      place.unit_axes = 1;
      return place;
    case Form::without_axes:
      place.unit_axes = 2;
      return place;
    case Form::transposed:
    case Form::scalar:
      break;
  }
  return std::nullopt;
}

std::vector<std::string> names_in_layout(const Layout& layout, std::string_view ours, const TensorMap& weights,
                                         NamesOf which) {
  Hit hit = rule_of_ours(layout, ours, has_swiglu(weights));
  if (which == NamesOf::modules)
    if (const Hit of_module = find_rule(layout, ours, &Rule::ours, [](auto& r) { return r.use == Use::module; });
        of_module.rule)
      hit = of_module;
  if (!hit.rule || (hit.rule->form != Form::same && hit.rule->form != Form::parts)) return {};
  const std::string prefix(layout.written_prefix && is_inside(ours) ? layout.written_prefix(weights) : "");
  std::vector<std::string> names(std::max<size_t>(parts_of(hit.rule->theirs), 1));
  for (size_t i = 0; i < names.size(); ++i) {
    hit.match.part = i;
    names[i] = prefix + fill_name(hit.rule->theirs, hit.match);
  }
  return names;
}

LoadReport compare_in_layout(const Layout& layout, const TensorMap& mine, const TensorMap& values) {
  const auto keep = [](TensorMap& theirs, const std::string& name, const Tensor& t) { theirs[name] = t; };
  return compare(written(layout, mine, keep), written(layout, values, keep));
}

void share_state(ModuleBase& module, const TensorMap& values, const Layout& layout, const std::string& source) {
  expect_fit(module, values, layout, source);
  share_state(module, values, source);
}

void load_state(ModuleBase& module, const TensorMap& values, const Layout& layout, const std::string& source) {
  expect_fit(module, values, layout, source);
  load_state(module, values, source);
}

void add_mask_token(TensorMap& ours) {
  const auto token = ours.find("cls_token");
  if (token == ours.end() || ours.contains("mask_token")) return;
  ours["mask_token"] = zeros({1, token->second.size(2)}, token->second.dtype());
}

void drop_mask_token(TensorMap& ours, std::vector<std::string>& notes) {
  if (ours.erase("mask_token") > 0) notes.emplace_back("mask_token is left out: it serves training by masking");
}

}  // namespace vitrail::nn
