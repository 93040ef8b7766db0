#include "vitrail/recipes/run/run_folder.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace vitrail::recipes {
namespace fs = std::filesystem;
namespace {

std::string today() {
  const time_t now = time(nullptr);
  tm date{};
  localtime_r(&now, &date);
  char text[16];
  return {text, strftime(text, sizeof text, "%Y-%m-%d", &date)};
}

/// True if the folder is new.
bool make(const fs::path& folder) {
  std::error_code error;
  const bool made = fs::create_directories(folder, error);
  check<WriteError>(!error, "run folder", "cannot make {}: {}", folder.string(), error.message());
  return made;
}

/// True if a folder is empty, or holds exactly what a run writes before its first line of metrics and its first
/// checkpoint.
bool is_unused(const RunFiles& files) {
  if (fs::is_empty(files.path())) return true;
  if (!fs::exists(files.resolved()) || !fs::exists(files.environment())) return false;
  const std::string_view known[] = {"recipe.yaml", "resolved.yaml", "environment.json", "metrics.jsonl",
                                    "tb",          "checkpoints"};
  for (const fs::directory_entry& entry : fs::directory_iterator(files.path()))
    if (std::find(std::begin(known), std::end(known), entry.path().filename().string()) == std::end(known))
      return false;
  std::error_code none;
  const bool trained = fs::exists(files.metrics()) && fs::file_size(files.metrics(), none) > 0;
  return !trained && (!fs::exists(files.checkpoints()) || fs::is_empty(files.checkpoints(), none));
}

}  // namespace

RunFolder RunFolder::create(const fs::path& out, std::string_view recipe) {
  fs::path folder = out;
  if (out.empty()) {
    const std::string stem = "runs/" + std::string(recipe) + "-" + today() + "-";
    for (int n = 1; !make(folder = stem + std::to_string(n)); ++n) {
    }
  } else {
    check<ConfigError>(make(out) || is_unused(RunFiles(out)), "out",
                       "{} has files in it and a run is never overwritten: choose another folder, or resume it with "
                       "--resume {}",
                       out.string(), out.string());
  }
  RunFolder made(folder);
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) fs::remove_all(entry.path());
  make(made.checkpoints());
  return made;
}

void RunFolder::remove_if_unused() const {
  std::error_code kept;
  if (is_unused(*this)) fs::remove_all(path(), kept);
}

void expect_run(const fs::path& folder) {
  check<ConfigError>(fs::is_directory(folder), "resume", "{} is not a folder", folder.string());
  check<ConfigError>(fs::exists(RunFiles(folder).resolved()), "resume",
                     "{} is not the folder of a run: no resolved.yaml", folder.string());
}

RunFolder RunFolder::open(const fs::path& folder) {
  expect_run(folder);
  return RunFolder(folder);
}

RunFolder::RunFolder(fs::path folder) : RunFiles(std::move(folder)) {
  lock_ = ::open(path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  check<WriteError>(lock_ >= 0, "run folder", "cannot open {}: {}", path().string(), std::strerror(errno));
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    close(lock_);
    fail<ConfigError>("run folder", "{} is in use by another trainer", path().string());
  }
  make(checkpoints());
}

RunFolder::RunFolder(RunFolder&& other) noexcept : RunFiles(std::move(other)), lock_(std::exchange(other.lock_, -1)) {}

RunFolder::~RunFolder() {
  if (lock_ >= 0) close(lock_);
}

}  // namespace vitrail::recipes
