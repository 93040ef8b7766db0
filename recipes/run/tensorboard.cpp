#include "vitrail/recipes/run/tensorboard.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"

#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <string>

namespace vitrail::recipes {
namespace {

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) != 0 ? 0x82f63b78u : 0);
    table[i] = c;
  }
  return table;
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

template <class T>
std::string little_endian(T value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(T); ++i) bytes += char(uint8_t(value >> (8 * i)));
  return bytes;
}

// Protocol buffers: a field is its number and wire type, then its value.
std::string varint(uint64_t v) {
  std::string bytes;
  for (; v >= 0x80; v >>= 7) bytes += char(uint8_t(v | 0x80));
  return bytes + char(uint8_t(v));
}
std::string integer_field(uint64_t number, uint64_t v) { return varint(number << 3) + varint(v); }
std::string double_field(uint64_t number, double v) {
  return varint(number << 3 | 1) + little_endian(std::bit_cast<uint64_t>(v));
}
std::string bytes_field(uint64_t number, std::string_view v) {
  return varint(number << 3 | 2) + varint(v.size()) + std::string(v);
}
std::string float_field(uint64_t number, float v) {
  return varint(number << 3 | 5) + little_endian(std::bit_cast<uint32_t>(v));
}

// Field numbers of tensorflow.Event, Summary, Summary.Value and SessionLog.
constexpr uint64_t kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;
constexpr uint64_t kValue = 1, kTag = 1, kSimpleValue = 2, kStatus = 1, kStart = 1;

std::string masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return little_endian(std::rotr(crc, 15) + 0xa282ead8u);
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr auto table = crc_table();
  uint32_t crc = 0xffffffffu;
  for (char c : bytes) crc = table[(crc ^ uint8_t(c)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

TensorBoard::TensorBoard(const std::filesystem::path& folder, int64_t first_step) {
  std::filesystem::create_directories(folder);
  const std::string stem = "events.out.tfevents." + std::to_string(int64_t(wall_time())) + ".vitrail.";
  int n = 0;
  while (std::filesystem::exists(folder / (stem + std::to_string(n)))) ++n;
  const auto path = folder / (stem + std::to_string(n));
  out_.open(path, std::ios::binary);
  check<WriteError>(out_.good(), "tensorboard", "cannot write {}", path.string());
  write_event(0, bytes_field(kFileVersion, "brain.Event:2"));
  write_event(first_step, bytes_field(kSessionLog, integer_field(kStatus, kStart)));
}

void TensorBoard::log(std::string_view prefix, const Stats& values, int64_t step) {
  std::string summary;
  for (const auto& [name, value] : values)
    summary += bytes_field(
        kValue, bytes_field(kTag, std::string(prefix) + "/" + name) + float_field(kSimpleValue, float(value)));
  write_event(step, bytes_field(kSummary, summary));
}

void TensorBoard::write_event(int64_t step, std::string_view payload) {
  const std::string event =
      double_field(kWallTime, wall_time()) + integer_field(kStep, uint64_t(step)) + std::string(payload);
  const std::string length = little_endian(uint64_t(event.size()));
  out_ << length << masked_crc(length) << event << masked_crc(event) << std::flush;
}

}  // namespace vitrail::recipes
