// Parameters that a recipe keeps as they are (`model.freeze`).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vitrail::ag {
class Parameter;
}
namespace vitrail::nn {
class ModuleBase;
}

namespace vitrail::recipes {

/// Freezes the parameters that the patterns name: they get no gradient and no optimizer state. A pattern is a name, or
/// the beginning of names up to a dot: "blocks.3", "patch_embed"; * stands for any characters: "blocks.*.attn". After a
/// minus it means parameters that are trained: {"*", "-head"} trains the head alone. Later patterns go before earlier
/// ones. Names are those inside the model.
/// Throws ConfigError for a pattern that names no parameter.
void freeze(nn::ModuleBase& model, const std::vector<std::string>& patterns);
/// The opposite, for patterns without a minus that stand in the recipe at `key`. Throws as freeze().
void unfreeze(nn::ModuleBase& model, const std::vector<std::string>& patterns, const char* key);
/// Whether one of the patterns names the parameter.
bool any_matches(const std::vector<std::string>& patterns, std::string_view name);

/// The parameters of a model that are trained, for steps that hold them for a while.
std::vector<ag::Parameter*> trained_parameters(const nn::ModuleBase& model);

/// Sets the BatchNorm layers whose parameters are frozen to evaluation mode: their averages do not change either.
/// Call it after train().
void hold_frozen_norms(nn::ModuleBase& model);

}  // namespace vitrail::recipes
