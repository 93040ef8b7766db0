// Pictures in HDF5 files: other people's, and those that pack.h makes.
//
//   <part>/image   u8 [N, H, W, C] or [N, H, W], pictures of one size, or
//   <part>/file    u8 [bytes], JPEG, PNG or BMP files one after another, and
//   <part>/offset  i64 [N + 1], where each begins; the last is the end
//   <part>/label   integers [N]; left out if unlabelled
//
// <part> is a group train, val or test, or the root. Attributes of the root or the group: classes (names, or one text
// of lines), layout (NHWC, which is also meant without it, or NCHW).
#pragma once

#include "child_process.h"
#include "dataset.h"

#include <string_view>

namespace vitrail::data {

/// The part of the file named split; which other part stands in for it, open_dataset.h says.
///
/// A file sealed by pack is verified and then read in place. Any other is read once, into memory, by a child process:
/// damaged files crash libhdf5. Its links and values in other files and its own filters are not followed.
/// Throws DataError: "dataset file X rejected (crashed: SIGSEGV)", or with what is missing in it.
std::unique_ptr<Dataset> open_hdf5(const std::string& path, std::string_view split, const SourceOptions& options = {},
                                   const ChildLimits& limits = {});

}  // namespace vitrail::data
