#include "tests/support/reference.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

namespace vitrail::test {

std::optional<std::filesystem::path> reference_path(std::string_view name) {
  const std::filesystem::path shipped = std::filesystem::path(VITRAIL_SOURCE_DIR) / "tests/reference" / name;
  if (std::filesystem::exists(shipped)) return shipped;
  if (const char* folder = std::getenv("VITRAIL_REFERENCE")) {
    const std::filesystem::path other = std::filesystem::path(folder) / name;
    if (std::filesystem::exists(other)) return other;
  }
  const std::string missing(name);
  MESSAGE("skipped: ", missing, " is not in tests/reference; set VITRAIL_REFERENCE to the folder that has it");
  return std::nullopt;
}

}  // namespace vitrail::test
