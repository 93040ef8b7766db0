// The folder of a run: recipe.yaml, resolved.yaml, environment.json, metrics.jsonl, tb/, checkpoints/, bad_files.tsv
// and at the end result.json. Made once, never overwritten, used by one trainer at a time.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace vitrail::recipes {

class RunFolder {
 public:
  /// Makes out, or runs/<recipe>-<date>-<n> with the first free n if out is empty.
  /// Throws ConfigError if out has files in it, IoError if it cannot be made.
  static RunFolder create(const std::filesystem::path& out, std::string_view recipe);
  /// The folder of a run that is to go on. Throws ConfigError if there is none.
  static RunFolder open(const std::filesystem::path& folder);

  RunFolder(RunFolder&& other) noexcept;
  RunFolder& operator=(RunFolder&&) = delete;
  ~RunFolder();  // lets others use the folder

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  std::filesystem::path last() const { return path_ / "checkpoints/last.h5"; }
  std::filesystem::path best() const { return path_ / "checkpoints/best.h5"; }

 private:
  /// Throws ConfigError if another process uses the folder.
  explicit RunFolder(std::filesystem::path path);

  std::filesystem::path path_;
  int lock_ = -1;
};

}  // namespace vitrail::recipes
