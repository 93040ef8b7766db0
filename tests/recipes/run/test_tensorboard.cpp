#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/recipes/run/tensorboard.h"

#include <doctest/doctest.h>

#include <cstring>

using namespace vitrail;
using namespace vitrail::recipes;

namespace {

struct Event {
  int64_t step = 0;
  bool start = false;
  Stats scalars;
};

template <class T>
T read(std::string_view& bytes) {
  REQUIRE(bytes.size() >= sizeof(T));
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  bytes.remove_prefix(sizeof(T));
  return value;
}

std::string_view take(std::string_view& bytes, uint64_t n) {
  REQUIRE(bytes.size() >= n);
  const std::string_view front = bytes.substr(0, n);
  bytes.remove_prefix(n);
  return front;
}

uint64_t varint(std::string_view& bytes) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const uint8_t b = read<uint8_t>(bytes);
    value |= uint64_t(b & 0x7f) << shift;
    if (b < 0x80) return value;
  }
}

std::string_view message(std::string_view& bytes) {
  const uint64_t size = varint(bytes);
  return take(bytes, size);
}

uint32_t unmask(uint32_t masked) {
  const uint32_t rotated = masked - 0xa282ead8u;
  return (rotated >> 17) | (rotated << 15);
}

std::pair<std::string, double> parse_value(std::string_view value) {
  std::pair<std::string, double> scalar;
  while (!value.empty()) {
    if (varint(value) == (1 << 3 | 2))
      scalar.first = message(value);
    else
      scalar.second = double(read<float>(value));
  }
  return scalar;
}

Event parse_event(std::string_view event) {
  Event result;
  while (!event.empty()) {
    const uint64_t key = varint(event), number = key >> 3, wire = key & 7;
    if (number == 2) {
      result.step = int64_t(varint(event));
    } else if (wire == 1) {
      read<double>(event);
    } else {
      std::string_view body = message(event);
      if (number == 7) result.start = body == "\x08\x01";
      while (number == 5 && !body.empty()) {
        CHECK(varint(body) == (1 << 3 | 2));
        result.scalars.push_back(parse_value(message(body)));
      }
    }
  }
  return result;
}

std::vector<Event> read_events(const std::filesystem::path& path) {
  const std::string text = test::read_text(path);
  std::vector<Event> events;
  for (std::string_view bytes = text; !bytes.empty();) {
    const std::string_view length_bytes = bytes.substr(0, 8);
    const uint64_t length = read<uint64_t>(bytes);
    CHECK(unmask(read<uint32_t>(bytes)) == crc32c(length_bytes));
    const std::string_view event = take(bytes, length);
    CHECK(unmask(read<uint32_t>(bytes)) == crc32c(event));
    events.push_back(parse_event(event));
  }
  return events;
}

}  // namespace

TEST_CASE("crc32c of the check string") { CHECK(crc32c("123456789") == 0xe3069283u); }

TEST_CASE("event files read back") {
  const test::TemporaryFolder folder;
  {
    TensorBoard board(folder.path() / "tb", 7);
    board.log("train", {{"loss", 0.5}, {"lr", 1e-3}}, 300);
  }
  const auto file = *std::filesystem::directory_iterator(folder.path() / "tb");
  CHECK(file.path().filename().string().starts_with("events.out.tfevents."));
  const auto events = read_events(file.path());
  REQUIRE(events.size() == 3);
  CHECK(events[1].start);
  CHECK(events[1].step == 7);
  CHECK(events[2].step == 300);
  CHECK(events[2].scalars == Stats{{"train/loss", 0.5}, {"train/lr", double(1e-3f)}});
}

TEST_CASE("every run of a folder gets an event file of its own") {
  const test::TemporaryFolder folder;
  TensorBoard first(folder.path(), 0), second(folder.path(), 0);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) files += entry.is_regular_file();
  CHECK(files == 2);
}
