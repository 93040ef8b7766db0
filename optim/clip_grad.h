// Gradient clipping. Parameters without a gradient are skipped. Norms are double, summed in fixed chunks.
#pragma once

#include "vitrail/autograd/parameter.h"

#include <span>
#include <vector>

namespace vitrail::optim {

/// Scales all gradients by max_norm / (norm + 1e-6) if that is below 1. Returns the norm of all gradients together
/// before clipping; it is not finite if a gradient is not. max_norm 0 only measures.
double clip_grad_norm(std::span<ag::Parameter* const> parameters, double max_norm);

/// Clips each parameter by its own norm, as DINO does. Returns the norms in the given order, 0 without a gradient.
std::vector<double> clip_each(std::span<ag::Parameter* const> parameters, double max_norm);

/// Clips each unit of a parameter (index of its first axis; a vector is one unit) to clip_factor times the norm of the
/// unit's weights, which counts as at least eps. Returns the norm of all gradients together before clipping.
/// Source: Brock et al. 2021 (arXiv:2102.06171), as in timm.
double clip_adaptive(std::span<ag::Parameter* const> parameters, double clip_factor, double eps = 1e-3);

}  // namespace vitrail::optim
