// Compares the end of a short training run with the official code.
#pragma once

#include "tools/reference/reference_case.h"
#include "vitrail/nn/module.h"

namespace vitrail::reference {

inline constexpr Tolerance kTrajectory{2e-5, 1e-9};  // absolute: losses, centers; in f64 also final parameters

/// Compares the final parameters, as absolute differences; in f64 all of them. In f32 Adam turns rounding noise into
/// steps of up to lr. So key biases are skipped, and one coordinate in a thousand may differ by up to lr.
void compare_parameters(Outcome& outcome, const nn::ModuleBase& model, const hdf5::Reader& file,
                        const std::string& path, DType dtype, double lr);

}  // namespace vitrail::reference
