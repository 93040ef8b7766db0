// The small image files of tests/data/images.
#pragma once

#include "vitrail/core/io/file.h"

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace vitrail::test {

inline std::filesystem::path image_path(const std::string& name) {
  return std::filesystem::path(VITRAIL_SOURCE_DIR) / "tests/data/images" / name;
}

inline std::string image_file(const std::string& name) { return read_file(image_path(name), 1 << 20); }

inline std::span<const std::byte> bytes_of(const std::string& file) { return std::as_bytes(std::span(file)); }

}  // namespace vitrail::test
