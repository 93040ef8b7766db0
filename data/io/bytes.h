// Bytes, and numbers read from untrusted bytes without leaving the span.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace vitrail::data {

using Bytes = std::vector<std::byte>;

enum class ByteOrder { little, big };

/// The unsigned number of count bytes (1 to 4) at offset; nothing if some lie outside of bytes.
inline std::optional<uint32_t> read_uint(std::span<const std::byte> bytes, size_t offset, size_t count,
                                         ByteOrder order) {
  if (offset > bytes.size() || count > bytes.size() - offset) return std::nullopt;
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t at = order == ByteOrder::big ? offset + i : offset + count - 1 - i;
    value = (value << 8) | uint32_t(bytes[at]);
  }
  return value;
}

}  // namespace vitrail::data
