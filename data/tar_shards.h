// Pictures in tar archives, plain or gzipped, read in place. The first folder of a member's name is its class.
#pragma once

#include "dataset.h"

namespace vitrail::data {

/// The pictures of the archives, in the order given and the order inside. A gzipped archive is inflated into memory.
/// Throws IoError as read_tar_index, DataError if there are no pictures or their folders make no classes.
std::unique_ptr<Dataset> open_tar_shards(const std::vector<std::string>& paths, const SourceOptions& options = {});

}  // namespace vitrail::data
