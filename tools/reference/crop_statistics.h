// The distribution of RandomResizedCrop's boxes, compared with what the official implementation drew.
#pragma once

#include "tools/reference/reference_case.h"

namespace vitrail::reference {

/// Draws 100,000 boxes for the sizes in the attributes of path. Each mean and standard deviation of theirs counts as an
/// error relative to what it may be off by, so that the tolerance is 1.
Outcome run_crop_statistics(const hdf5::Reader& file, const std::string& path, DType dtype);

}  // namespace vitrail::reference
