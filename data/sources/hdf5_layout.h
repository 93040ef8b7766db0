// Names in HDF5 files of images; hdf5_dataset.h has the layout.
#pragma once

#include "vitrail/core/io/hdf5.h"

#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

/// "group/name", or "name" in the root ("").
std::string inside(const std::string& group, const std::string& name);

/// The group that serves split: "train", "val", "test", or "" for the root.
/// Throws IoError naming path and the groups of the file.
std::string group_of(const hdf5::Reader& file, const std::string& path, std::string_view split);

/// An attribute of the group, or else of the root: its strings, or the lines of its only string. Empty if missing.
std::vector<std::string> texts(const hdf5::Reader& file, const std::string& group, const std::string& name);

/// Names as the lines of one text, as texts reads them.
std::string joined_lines(const std::vector<std::string>& names);

}  // namespace vitrail::data
