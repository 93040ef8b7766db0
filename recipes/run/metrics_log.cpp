#include "vitrail/recipes/run/metrics_log.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/json.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

namespace vitrail::recipes {
namespace {

[[noreturn]] void fail_on(const std::filesystem::path& path) {
  fail<WriteError>("metrics", "{}: {}", path.string(), std::strerror(errno));
}

double time_of(const std::string& line) {
  try {
    const Json object = Json::parse(line);
    const Json* const time = object.find("time");
    return time && time->is_number() ? time->as_double() : 0;
  } catch (const JsonError&) {
    return 0;
  }
}

}  // namespace

MetricsLog::MetricsLog(const std::filesystem::path& path, int64_t keep) : path_(path) {
  off_t size = 0;  // bytes of the complete lines kept
  std::string line, last;
  for (std::ifstream in(path, std::ios::binary); lines_ < keep && std::getline(in, line) && !in.eof(); ++lines_) {
    size += off_t(line.size()) + 1;
    last.swap(line);
  }
  last_time_ = time_of(last);
  file_ = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (file_ < 0 || ftruncate(file_, size) != 0 || lseek(file_, size, SEEK_SET) != size) fail_on(path);
}

MetricsLog::~MetricsLog() { close(file_); }

void MetricsLog::log(std::string_view type, const Stats& values) {
  std::string line = "{\"t\": \"" + std::string(type) + "\"";
  for (const auto& [name, value] : values) line += ", \"" + name + "\": " + json_number(value);
  line += "}\n";
  for (std::string_view rest = line; !rest.empty();) {
    const ssize_t n = write(file_, rest.data(), rest.size());
    if (n < 0 && errno != EINTR) fail_on(path_);
    if (n > 0) rest.remove_prefix(size_t(n));
  }
  ++lines_;
}

void MetricsLog::sync() {
  if (fdatasync(file_) != 0) fail_on(path_);
}

}  // namespace vitrail::recipes
