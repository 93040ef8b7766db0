// Compares the distribution of RandomResizedCrop's boxes with the official implementation's.
#pragma once

#include "tools/reference/reference_case.h"

namespace vitrail::reference {

/// Draws 100,000 boxes for the image sizes in the attributes of path. The error of each mean and standard deviation is
/// divided by its tolerance, so that the tolerance of the case is 1.
Outcome run_crop_statistics(const hdf5::Reader& file, const std::string& path, DType dtype);

}  // namespace vitrail::reference
