// Gradient clipping. Parameters without a gradient are skipped. Gradients are f32 or f64. Norms are in double, summed
// in fixed chunks.
#pragma once

#include "vitrail/autograd/parameter.h"

#include <span>
#include <vector>

namespace vitrail::optim {

/// Scales all gradients by max_norm / (norm + 1e-6) if that factor is below 1. Returns the norm of all gradients
/// together before the scaling; it is not finite if a gradient is not. max_norm 0: measures only.
double clip_grad_norm(std::span<ag::Parameter* const> parameters, double max_norm);

/// The same for each parameter by itself, as in DINO. Returns the norms in the order of the parameters; 0 for one
/// without a gradient.
std::vector<double> clip_each(std::span<ag::Parameter* const> parameters, double max_norm);

/// Clips the gradient of each unit to clip_factor times the norm of the unit's weights, or times eps if that is larger.
/// A unit is one index of a parameter's first axis; a vector is one unit. Returns the norm of all gradients together
/// before the clipping. Source: Brock et al. 2021 (arXiv:2102.06171), as in timm.
double clip_adaptive(std::span<ag::Parameter* const> parameters, double clip_factor, double eps = 1e-3);

}  // namespace vitrail::optim
