#include "vitrail/data/io/lines.h"

#include "vitrail/core/io/file.h"

#include <algorithm>

namespace vitrail::data {

std::vector<std::string> read_lines(const std::filesystem::path& path) {
  constexpr int64_t kLargest = int64_t{64} << 20;
  const std::string text = read_file(path, kLargest);
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
