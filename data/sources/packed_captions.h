// Captions in packed HDF5 files; hdf5_dataset.h has the layout.
#pragma once

#include "vitrail/core/io/hdf5.h"
#include "vitrail/data/sources/pairs.h"

#include <functional>

namespace vitrail::data {

/// Throws DataError if a kind's name holds a line break.
void write_captions(hdf5::Writer& writer, const std::string& group, const Pairs& pairs);

/// Hands over each caption of the group with its image and its kind ("" for none), in order. The views hold during
/// the call only. Returns the number of images.
/// Throws DataError naming path and what is missing or contradicts itself.
int64_t for_each_packed_caption(
    const hdf5::Reader& file, const std::string& path, const std::string& group,
    const std::function<void(int64_t image, std::string_view text, std::string_view kind)>& visit);

}  // namespace vitrail::data
