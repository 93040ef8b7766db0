// JSON files, for tests.
#pragma once

#include "tests/support/text_file.h"

#include <nlohmann/json.hpp>

#include <filesystem>

namespace vitrail::test {

inline nlohmann::json read_json(const std::filesystem::path& path) { return nlohmann::json::parse(read_text(path)); }

/// Changes keys of the object in the file; null removes one.
inline void patch_json(const std::filesystem::path& path, const nlohmann::json& changes) {
  nlohmann::json content = read_json(path);
  content.merge_patch(changes);
  write_text(path, content.dump());
}

}  // namespace vitrail::test
