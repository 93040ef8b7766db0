#include "vitrail/data/io/lines.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"

#include <algorithm>
#include <fstream>

namespace vitrail::data {

namespace {

constexpr int64_t kLargest = int64_t{64} << 20;

/// Whether the path is a stream that this process got from its caller: the shell writes <(command) as /dev/fd/63.
bool is_open_stream(const std::filesystem::path& path) {
  const std::string name = path.string();
  return name == "/dev/stdin" || name.starts_with("/dev/fd/") || name.starts_with("/proc/self/fd/");
}

std::string read_stream(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text;
  check<IoError>(in.is_open(), "read", "{}: cannot open", path.string());
  for (char byte; int64_t(text.size()) <= kLargest && in.get(byte);) text += byte;
  check<IoError>(int64_t(text.size()) <= kLargest, "read", "{}: has more than {} bytes", path.string(), kLargest);
  return text;
}

}  // namespace

std::vector<std::string> read_lines(const std::filesystem::path& path) {
  const std::string text = is_open_stream(path) ? read_stream(path) : read_file(path, kLargest);
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) lines.push_back(std::move(line));
    begin = end + 1;
  }
  return lines;
}

}  // namespace vitrail::data
