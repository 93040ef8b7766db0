#include "vitrail/optim/param_groups.h"

#include "vitrail/core/error.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

namespace vitrail::optim {

namespace {

std::string_view last_part(std::string_view name) { return name.substr(name.rfind('.') + 1); }

bool is_decayed(const ag::Parameter& p, std::span<const std::string_view> no_decay) {
  return p.shape().rank() > 1 && last_part(p.name()) != "bias" &&
         std::find(no_decay.begin(), no_decay.end(), last_part(p.name())) == no_decay.end();
}

/// i of a name that begins with "blocks.i.".
std::optional<int64_t> block_index(std::string_view name) {
  constexpr std::string_view kPrefix = "blocks.";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int64_t index = 0;
  const auto [end, error] = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), index);
  if (error != std::errc() || end == name.data() + name.size() || *end != '.') return std::nullopt;
  return index;
}

}  // namespace

std::vector<ParamGroup> decay_groups(std::span<ag::Parameter* const> parameters,
                                     std::span<const std::string_view> no_decay) {
  return layer_decay_groups(parameters, 1, no_decay);
}

std::vector<ParamGroup> layer_decay_groups(std::span<ag::Parameter* const> parameters, double decay,
                                           std::span<const std::string_view> no_decay) {
  int64_t depth = 0;
  for (const ag::Parameter* p : parameters) depth = std::max(depth, block_index(p->name()).value_or(-1) + 1);
  check<ConfigError>(depth > 0 || decay == 1, "layer_decay", "{}: no parameter is of a block, as in 'blocks.0...'",
                     decay);

  std::map<std::pair<double, double>, ParamGroup> groups;  // by scales
  for (ag::Parameter* p : parameters) {
    if (!p->requires_grad()) continue;
    const double lr_scale = std::pow(decay, double(depth + 1 - layer_id(p->name(), depth)));
    const double decay_scale = is_decayed(*p, no_decay) ? 1 : 0;
    ParamGroup& group = groups[{lr_scale, decay_scale}];
    group.lr_scale = lr_scale;
    group.weight_decay_scale = decay_scale;
    group.parameters.push_back(p);
  }
  std::vector<ParamGroup> result;
  result.reserve(groups.size());
  for (auto& [scales, group] : groups) result.push_back(std::move(group));
  return result;
}

int64_t layer_id(std::string_view name, int64_t depth) {
  constexpr std::string_view kEmbeddings[] = {"patch_embed", "pos_embed",  "cls_token", "dist_token",
                                              "reg_token",   "mask_token", "norm_pre"};
  const std::string_view first = name.substr(0, name.find('.'));
  if (std::find(std::begin(kEmbeddings), std::end(kEmbeddings), first) != std::end(kEmbeddings)) return 0;
  if (const auto block = block_index(name)) return *block + 1;
  return depth + 1;
}

}  // namespace vitrail::optim
