// The small image files of tests/data/images.
#pragma once

#include "vitrail/core/io/file.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace vitrail::test {

inline std::filesystem::path image_path(const std::string& name) {
  return std::filesystem::path(VITRAIL_SOURCE_DIR) / "tests/data/images" / name;
}

inline std::string image_file(const std::string& name) { return read_file(image_path(name), 1 << 20); }

inline std::span<const std::byte> bytes_of(const std::string& file) { return std::as_bytes(std::span(file)); }

/// 64-bit FNV-1a, to compare pixels with those of another program.
inline uint64_t fingerprint(std::span<const uint8_t> bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

}  // namespace vitrail::test
