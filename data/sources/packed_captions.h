// Captions in packed HDF5 files; hdf5_dataset.h has the layout.
#pragma once

#include "vitrail/core/io/hdf5.h"
#include "vitrail/data/sources/pairs.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace vitrail::data {

/// Writes the captions of the images at the indices. Throws DataError if a kind's name holds a line break.
void write_captions(hdf5::Writer& writer, const std::string& group, const Pairs& pairs,
                    const std::vector<int64_t>& images);

/// Calls visit for each caption of the group, in order, with its image and its kind ("" for none). The views are valid
/// only during the call. Returns the number of images.
/// Throws DataError naming path and the entry that is missing or inconsistent.
int64_t for_each_packed_caption(
    const hdf5::Reader& file, const std::string& path, const std::string& group,
    const std::function<void(int64_t image, std::string_view text, std::string_view kind)>& visit);

}  // namespace vitrail::data
