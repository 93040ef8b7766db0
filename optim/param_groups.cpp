#include "vitrail/optim/param_groups.h"

#include "vitrail/core/error.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace vitrail::optim {

bool DecayRule::decays(const ag::Parameter& p) const {
  if (p.decay() != ag::Decay::table) return p.decay() == ag::Decay::weight;
  const std::string last_part = p.name().substr(p.name().rfind('.') + 1);
  return tables != (std::find(except.begin(), except.end(), last_part) != except.end());
}

DecayRule timm_decay() { return {}; }
DecayRule deit_decay() { return {.tables = false, .except = {"dist_token", "reg_token"}}; }
DecayRule dino_decay() { return {.tables = true, .except = {}}; }

std::vector<ParamGroup> decay_groups(std::span<ag::Parameter* const> parameters, const DecayRule& rule) {
  return layer_decay_groups(parameters, 1, rule);
}

std::vector<ParamGroup> layer_decay_groups(std::span<ag::Parameter* const> parameters, double decay,
                                           const DecayRule& rule, const LrFactor& factor) {
  int64_t depth = 0;
  for (const ag::Parameter* p : parameters) depth = std::max(depth, p->layer().value_or(0));
  check<ConfigError>(depth > 0 || decay == 1, "layer_decay", "{}: no parameter is of a block", decay);

  std::map<std::pair<double, double>, ParamGroup> groups;  // by scales
  for (ag::Parameter* p : parameters) {
    if (!p->requires_grad()) continue;
    const double lr_scale =
        std::pow(decay, double(depth + 1 - p->layer().value_or(depth + 1))) * (factor ? factor(*p) : 1);
    const double decay_scale = rule.decays(*p) ? 1 : 0;
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

}  // namespace vitrail::optim
