// The folder of a run. It is made once, never overwritten, and used by one trainer at a time.
#pragma once

#include <filesystem>
#include <string_view>
#include <utility>

namespace vitrail::recipes {

/// The files of a run, by name.
class RunFiles {
 public:
  explicit RunFiles(std::filesystem::path folder) : path_(std::move(folder)) {}

  /// The folder.
  const std::filesystem::path& path() const { return path_; }
  /// A file of the folder.
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

  /// The paths of the files. They need not exist.
  std::filesystem::path recipe() const { return path_ / "recipe.yaml"; }      // as the user wrote it
  std::filesystem::path resolved() const { return path_ / "resolved.yaml"; }  // every value with its origin
  std::filesystem::path environment() const { return path_ / "environment.json"; }
  std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path tensorboard() const { return path_ / "tb"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path last() const { return checkpoints() / "last.h5"; }
  std::filesystem::path best() const { return checkpoints() / "best.h5"; }
  /// Whether the run has saved its state, and so can be resumed from it.
  bool has_checkpoint() const { return std::filesystem::exists(last()) || std::filesystem::exists(best()); }
  std::filesystem::path bad_files() const { return path_ / "bad_files.tsv"; }
  std::filesystem::path result() const { return path_ / "result.json"; }  // written when the run is done

 private:
  std::filesystem::path path_;
};

/// The same, locked against other trainers while it lives.
class RunFolder final : public RunFiles {
 public:
  /// Makes out, or `runs/<recipe>-<date>-<n>` with the first free n if out is empty. A folder where a run has failed
  /// before its first line of metrics and its first checkpoint is emptied and taken over.
  /// Throws ConfigError if out has other files in it or another process uses it, IoError if it cannot be made.
  static RunFolder create(const std::filesystem::path& out, std::string_view recipe);
  /// The folder of a run to resume. Throws ConfigError if it is none, or if another process uses it.
  static RunFolder open(const std::filesystem::path& folder);

  /// Removes the folder if nothing has been trained in it: a run that failed at its start leaves nothing behind.
  void remove_if_unused() const;

  RunFolder(RunFolder&& other) noexcept;
  RunFolder& operator=(RunFolder&&) = delete;
  ~RunFolder();

 private:
  explicit RunFolder(std::filesystem::path folder);

  int lock_ = -1;
};

/// Throws ConfigError unless the folder is that of a run.
void expect_run(const std::filesystem::path& folder);

}  // namespace vitrail::recipes
