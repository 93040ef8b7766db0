// Opens images with captions, whatever the format.
#pragma once

#include "vitrail/data/sources/pairs.h"

#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

/// Opens the part of the data at path named split: "train", "val" or "test". find_pair_parts in source_parts.h says
/// which formats it recognises. As in open_dataset, "val" and "test" stand for each other, and undivided data is
/// "train".
///
///   table   rows as for_each_caption reads them. All rows of an image are its captions; images come in the order
///           of their first rows.
///   tar     WebDataset's layout: the caption of x/1.jpg is the file x/1.txt of the same archive, trimmed, or the only
///           .txt of the same key (the name up to its first dot), if it is the only image of that key.
///   folder  the same of files: the caption of x/1.jpg is x/1.txt.
///   HDF5    a file that pack() made of either.
///
/// Images without a caption, or without one of the kinds asked for, are left out.
/// Throws DataError for a part that is not there, naming those that are; for an image that is not there, or not in the
/// table's folder, naming the table, the line and the nearest name; for a kind that no caption has, naming the kinds.
/// IoError for damaged files.
Pairs open_pairs(const std::string& path, std::string_view split, const PairOptions& options = {});

/// The parts of the data at path, as dataset_splits.
std::vector<std::string> pair_splits(const std::string& path);

}  // namespace vitrail::data
