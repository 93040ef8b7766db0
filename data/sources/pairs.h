// Images with captions, wherever they are kept: the one way in for whoever learns from both.
#pragma once

#include "vitrail/data/sources/dataset.h"

#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

/// Images and what is said of each.
struct Pairs {
  std::unique_ptr<Dataset> images;                 // unlabelled; size() == captions.size()
  std::vector<std::vector<std::string>> captions;  // by image, at least one each, in the order of the source
  std::vector<std::string> kinds;                  // what kinds the captions are of; none where the source has no kinds
  std::vector<std::vector<int64_t>> kind_of;       // as captions: an index into kinds, -1 for none; empty without kinds
  int64_t left_out = 0;                            // images in archives or packed files without a caption
};

struct PairOptions {
  std::vector<std::string> kinds{};  // of captions, where the source has kinds (a column `kind`); empty: all
};

/// The part of what lies at path named split: "train", "val" or "test". What is recognised, find_pair_parts in
/// source_parts.h says; "val" and "test" stand for each other, undivided data is "train", as in open_dataset.
///
///   table   rows as for_each_caption reads them. All rows of an image are its captions; images come in the order
///           of their first rows.
///   tar     WebDataset's layout: the text of x/1.jpg is the file x/1.txt of the same archive, trimmed.
///   HDF5    a file made by pack from either.
///
/// Images without a caption, or without one of the kinds, are left out.
/// Throws DataError naming the parts there are; the table, the line and the nearest name for an image that is not
/// there; the kinds there are for one that no caption has. IoError for damaged files.
Pairs open_pairs(const std::string& path, std::string_view split, const PairOptions& options = {});

/// The parts that there are at path, as dataset_splits.
std::vector<std::string> pair_splits(const std::string& path);

}  // namespace vitrail::data
