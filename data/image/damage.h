// How the decoders report damage, and what they share to find it.
#pragma once

#include "vitrail/core/error.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

namespace vitrail::data {

using ByteSpan = std::span<const std::byte>;

/// Throws IoError "[decode_image] the file is damaged: ..." unless ok.
template <class... Args>
void check_undamaged(bool ok, std::string_view format, const Args&... args) {
  if (!ok) fail<IoError>("decode_image", "the file is damaged: {}", fmt::format(fmt::runtime(format), args...));
}

inline bool starts_with(ByteSpan bytes, std::string_view beginning) {
  return bytes.size() >= beginning.size() && std::memcmp(bytes.data(), beginning.data(), beginning.size()) == 0;
}

}  // namespace vitrail::data
