// Where tests find the reference files: expected results of the official implementations.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

namespace vitrail::test {

/// tests/reference/name, else $VITRAIL_REFERENCE/name. Nothing if the file is in neither; the test's log then says so,
/// and the test returns.
std::optional<std::filesystem::path> reference_path(std::string_view name);

}  // namespace vitrail::test
