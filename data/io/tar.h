// The index of a tar archive: where each file lies in it. Archives are never extracted. Entries that could escape or
// deceive when extracted (links, "..", absolute names, sparse files, duplicate names) are refused.
#pragma once

#include "vitrail/data/io/bytes.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

struct TarMember {
  std::string name;     // relative, no "." or ".." parts
  uint64_t offset = 0;  // of the first byte, in the archive
  uint64_t size = 0;
};

struct TarIndex {
  std::vector<TarMember> members;  // in the order of the archive
  bool ended = true;               // false: the end mark is missing, so files may be missing too
};

/// The regular files of an archive (ustar, pax, GNU with long names). Folders are skipped.
/// Throws IoError naming path, the member and its offset if the archive is empty, damaged, cut inside a member, or has
/// an entry of a refused kind.
TarIndex read_tar_index(std::span<const std::byte> archive, const std::string& path);

/// A gzipped archive, inflated once as a stream. A member's offset is the number of its content, or kNotKept.
struct InflatedTar {
  static constexpr uint64_t kNotKept = std::numeric_limits<uint64_t>::max();
  TarIndex index;
  std::vector<Bytes> contents;
};

/// Keeps the contents of the members that `keep` accepts by name and size; the others are passed over.
/// Throws IoError as read_tar_index and GzipReader; also if it would keep more than 256 MiB and more than a hundred
/// times the bytes of the file.
InflatedTar inflate_tar(std::span<const std::byte> gzipped, const std::string& path,
                        const std::function<bool(std::string_view name, uint64_t size)>& keep);

}  // namespace vitrail::data
