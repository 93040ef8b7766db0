// TensorBoard's event files. A record is a small protocol buffer in TFRecord framing, written without a library.
#pragma once

#include "vitrail/recipes/run/stats.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string_view>

namespace vitrail::recipes {

/// CRC-32C (Castagnoli) of bytes.
uint32_t crc32c(std::string_view bytes);

/// Writes scalars to an event file that TensorBoard reads.
class TensorBoard {
 public:
  /// Opens a new event file in folder. TensorBoard ignores the values of earlier files from first_step on, so a resumed
  /// run draws one line. Throws IoError.
  TensorBoard(const std::filesystem::path& folder, int64_t first_step);
  /// Writes one scalar for each value, tagged "prefix/name".
  void log(std::string_view prefix, const Stats& values, int64_t step);

 private:
  void write_event(int64_t step, std::string_view payload);

  std::ofstream out_;
};

}  // namespace vitrail::recipes
