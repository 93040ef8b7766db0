// The index of a tar archive: where each file lies in it. Archives are never extracted. Entries that could escape or
// deceive when extracted (links, "..", absolute names, sparse files, duplicate names) are refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vitrail::data {

struct TarMember {
  std::string name;     // relative, no "." or ".." parts
  uint64_t offset = 0;  // of the first byte, in the archive
  uint64_t size = 0;
};

/// The regular files of an archive (ustar, pax, GNU with long names), in its order. Folders are skipped.
/// Throws IoError naming path, the member and its offset if the archive is damaged, truncated or of a refused kind.
std::vector<TarMember> read_tar_index(std::span<const std::byte> archive, const std::string& path);

}  // namespace vitrail::data
