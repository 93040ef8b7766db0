// vision_golden.json: small traces of the official vision models whose weights and inputs are formulas.
#pragma once

#include "vitrail/nn/module.h"

#include <nlohmann/json.hpp>

namespace vitrail::test {

/// The file's contents.
nlohmann::json golden();

/// The file's fill of all parameters: tensor t of the order, element i: 0.1 sin(0.37 i + 1.3 t), gains of norms
/// and of LayerScale + 1, the lengths of a weight norm 1.
void fill_golden(nn::ModuleBase& model, const nlohmann::json& order);

}  // namespace vitrail::test
