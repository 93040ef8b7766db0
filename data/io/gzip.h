// Gzip files, inflated piece by piece, so that a reader takes no more than the headers inside announce.
#pragma once

#include "vitrail/data/io/bytes.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace vitrail::data {

/// The most bytes that deflate makes of one.
inline constexpr uint64_t kMostInflation = 1032;

/// Whether bytes begin with gzip's two magic bytes.
bool is_gzip(std::span<const std::byte> bytes);

/// Inflates one or more gzip members in order and verifies their checksums.
class GzipReader final {
 public:
  /// bytes outlives this; path is for messages.
  GzipReader(std::span<const std::byte> bytes, std::string path);
  ~GzipReader();

  /// Fills out and returns the number of bytes written. It is smaller than out only at the end.
  /// Throws IoError naming path if the bytes are damaged or truncated.
  size_t read(std::span<std::byte> out);

 private:
  struct Inflater;
  std::span<const std::byte> left_;
  std::string path_;
  size_t size_;
  bool done_ = false;
  std::unique_ptr<Inflater> inflater_;
};

/// All the inflated bytes. Throws IoError as GzipReader, or if there are more than max_bytes.
Bytes gunzip(std::span<const std::byte> bytes, std::string_view path, uint64_t max_bytes);

}  // namespace vitrail::data
