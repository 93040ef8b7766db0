// Images in HDF5 files: other people's, and those that pack.h makes.
//
//   <part>/image   u8 [N, H, W, C] or [N, H, W], images of one size, or
//   <part>/file    u8 [bytes], JPEG, PNG or BMP files one after another, and
//   <part>/offset  i64 [N + 1], where each begins; the last is the end
//   <part>/label   integers [N]; left out if unlabelled
//
// <part> is a group train, val or test, or the root. Attributes of the root or the group: classes (names, or one text
// of lines), layout (NHWC, which is also meant without it, or NCHW).
//
// Captions, which are read from files that pack.h made only (text/pairs.h):
//
//   <part>/caption         u8 [bytes], the texts of M captions one after another
//   <part>/caption_offset  i64 [M + 1], where each begins; the last is the end
//   <part>/caption_first   i64 [N + 1]: image i has the captions caption_first[i] to caption_first[i + 1] - 1
//   <part>/caption_kind    i64 [M], a line of the group's attribute caption_kinds, or -1; left out if there are no
//   kinds
#pragma once

#include "vitrail/core/io/hdf5.h"
#include "vitrail/data/io/child_process.h"
#include "vitrail/data/sources/dataset.h"

#include <string_view>

namespace vitrail::data {

/// The part of the file named split; which other part stands in for it, open_dataset.h says.
///
/// A file sealed by pack is verified and then read in place. Any other is read once, into memory, by a child process:
/// damaged files crash libhdf5. Its links and values in other files and its own filters are not followed.
/// Throws DataError: "dataset file X rejected (crashed: SIGSEGV)", or with what is missing in it.
std::unique_ptr<Dataset> open_hdf5(const std::string& path, std::string_view split, const SourceOptions& options = {},
                                   const ChildLimits& limits = {});

/// A group of the file that pack made at path, already open.
std::unique_ptr<Dataset> open_packed(const std::string& path, hdf5::Reader file, const std::string& group,
                                     const SourceOptions& options = {});

}  // namespace vitrail::data
