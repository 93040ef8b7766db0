// What a short training run ends with, against what the official code ended with.
#pragma once

#include "tools/reference/reference_case.h"
#include "vitrail/nn/module.h"

namespace vitrail::reference {

inline constexpr Tolerance kTrajectory{2e-5, 1e-9};  // absolute: losses, centers; in f64 also final parameters

/// Final parameters: in f64 all of them, absolute. In f32 without the biases of keys, of which Adam makes steps of up
/// to lr out of rounding, and for the same reason but for one coordinate in a thousand, which lie within lr.
void compare_parameters(Outcome& outcome, const nn::ModuleBase& model, const hdf5::Reader& file,
                        const std::string& path, DType dtype, double lr);

}  // namespace vitrail::reference
