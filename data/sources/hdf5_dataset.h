// Images in HDF5 files, made by pack.h or by other programs.
//
//   <part>/image   u8 [N, H, W, C] or [N, H, W], images of one size, or
//   <part>/file    u8 [bytes], JPEG, PNG, BMP or WebP files one after another, and
//   <part>/offset  i64 [N + 1], where each begins; the last is the end
//   <part>/label   integers [N]; left out if unlabelled
//
// <part> is a group train, val or test, or the root. Attributes of the root or the group: classes (names, or one text
// of lines), layout (NHWC, the default, or NCHW).
//
// Captions, which only files made by pack.h have (open_pairs.h):
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

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

/// Opens the part of the file named split. open_dataset.h says which part serves if it does not exist. "" is the root,
/// or the only part.
///
/// A file sealed by pack is verified, then read in place. Any other file is read into memory once by a child process,
/// because damaged files crash libhdf5. Links and values in other files, and filters of its own, are not followed.
/// Throws DataError: "dataset file X rejected (crashed: SIGSEGV)", or naming the missing entry.
std::unique_ptr<Dataset> open_hdf5(const std::string& path, std::string_view split, const SourceOptions& options = {},
                                   const ChildLimits& limits = {});

/// The parts that a file has, of train, val and test; images in its root are "train". Reads the file as open_hdf5 does.
std::vector<std::string> hdf5_splits(const std::string& path, const ChildLimits& limits = {});

/// Opens a group of a file that pack made; the file is open already.
std::unique_ptr<Dataset> open_packed(const std::string& path, hdf5::Reader file, const std::string& group,
                                     const SourceOptions& options = {});

}  // namespace vitrail::data
