// Reads any bytes as a tar archive. Members lie inside the archive and have harmless names, or the reader throws
// IoError.
#include "vitrail/core/error.h"
#include "vitrail/data/io/tar.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>

using namespace vitrail;

namespace {

constexpr size_t kBlock = 512, kChecksum = 148, kChecksumWidth = 8;

void read(std::span<const uint8_t> archive) {
  try {
    for (const data::TarMember& member : data::read_tar_index(std::as_bytes(archive), "fuzz").members) {
      if (member.offset > archive.size() || member.size > archive.size() - member.offset) std::abort();
      if (member.name.empty() || member.name.front() == '/' ||
          ("/" + member.name + "/").find("/../") != std::string::npos)
        std::abort();
    }
  } catch (const IoError&) {
  }
}

/// Writes a valid header checksum into every nonempty block, because mutations seldom find one.
void repair_checksums(std::vector<uint8_t>& archive) {
  for (size_t at = 0; at + kBlock <= archive.size(); at += kBlock) {
    const std::span<uint8_t> block(archive.data() + at, kBlock);
    if (std::all_of(block.begin(), block.end(), [](uint8_t byte) { return byte == 0; })) continue;
    std::memset(block.data() + kChecksum, ' ', kChecksumWidth);
    const unsigned sum = std::accumulate(block.begin(), block.end(), 0u);
    char digits[kChecksumWidth];
    std::snprintf(digits, sizeof digits, "%06o", sum);
    std::memcpy(block.data() + kChecksum, digits, kChecksumWidth - 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  read({data, size});
  std::vector<uint8_t> repaired(data, data + size);
  repair_checksums(repaired);
  read(repaired);
  return 0;
}
