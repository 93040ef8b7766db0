#include "vitrail/recipes/run/environment.h"

#include "vitrail/core/io/file.h"
#include "vitrail/core/io/json.h"
#include "vitrail/core/isa.h"
#include "vitrail/core/parallel.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/version.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>

namespace vitrail::recipes {
namespace {

constexpr const char *kJpegDecoder = "jpeg_decoder", *kWebpDecoder = "webp_decoder";

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
      {kJpegDecoder, data::jpeg_decoder_name()},
      {kWebpDecoder, data::webp_decoder_name()},
      {"folder", std::filesystem::current_path().string()},
      {"command", command},
  });
  return json.text(2) + "\n";
}

std::string decoder_note(const std::filesystem::path& environment) {
  constexpr int64_t kMostBytes = 1 << 20;
  if (!std::filesystem::exists(environment)) return {};
  std::optional<Json> json;
  try {
    json = Json::parse(read_file(environment, kMostBytes));
  } catch (const JsonError&) {
    return {};  // not ours
  }
  const auto named = [&](const char* key, const char* otherwise) -> std::string {
    const Json* const found = json->is_object() ? json->find(key) : nullptr;
    return found != nullptr && found->is_string() ? found->as_string() : otherwise;
  };
  std::string changes;
  const auto compare = [&](const char* kind, const std::string& before, const std::string& now) {
    if (before != now) changes += fmt::format("{}{}: {}, now {}", changes.empty() ? "" : "; ", kind, before, now);
  };
  compare("JPEG", named(kJpegDecoder, "stb_image"), data::jpeg_decoder_name());
  compare("WebP", named(kWebpDecoder, "none"), data::webp_decoder_name());
  if (changes.empty()) return {};
  return fmt::format(
      "this run began with other image decoders ({}); images of these kinds differ slightly from here on", changes);
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
