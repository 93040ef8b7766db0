// Gzip files, inflated as a whole, because tar shards and IDX files are read at random offsets.
#pragma once

#include "vitrail/data/io/bytes.h"

#include <cstdint>
#include <span>
#include <string_view>

namespace vitrail::data {

/// Whether bytes begin with gzip's two magic bytes.
bool is_gzip(std::span<const std::byte> bytes);

/// The inflated bytes of one or more gzip members, with verified checksums.
/// Throws IoError naming path if they are damaged or truncated, or inflate to more than max_bytes.
Bytes gunzip(std::span<const std::byte> bytes, std::string_view path, uint64_t max_bytes = uint64_t{1} << 34);

}  // namespace vitrail::data
