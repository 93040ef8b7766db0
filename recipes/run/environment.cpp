#include "vitrail/recipes/run/environment.h"

#include "vitrail/core/io/json.h"
#include "vitrail/core/isa.h"
#include "vitrail/core/parallel.h"
#include "vitrail/version.h"

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace vitrail::recipes {
namespace {

std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

}  // namespace

std::string commit() { return VITRAIL_COMMIT; }

std::string environment_json(const std::string& command) {
  utsname system{};
  uname(&system);
  const Json json = Json::object({
      {"version", VITRAIL_VERSION},
      {"commit", commit()},
      {"compiler", VITRAIL_COMPILER},
      {"build", VITRAIL_BUILD_TYPE},
      {"cpu", cpu_name()},
      {"cores", sysconf(_SC_NPROCESSORS_ONLN)},
      {"isa", isa()},
      {"threads", num_threads()},
      {"system", std::string(system.sysname) + " " + system.release + " " + system.machine},
      {"folder", std::filesystem::current_path().string()},
      {"command", command},
  });
  return json.text(2) + "\n";
}

int64_t rss_bytes() {
  int64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

double peak_rss_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return double(usage.ru_maxrss) / 1024;
}

}  // namespace vitrail::recipes
