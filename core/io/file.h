// Files: the one durable way to write them, bounded reading, and read-only mapping. Every error is an IoError with the
// system's reason.
#pragma once

#include "vitrail/core/error.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace vitrail {

/// A file or a folder that cannot be written.
class WriteError final : public IoError {
 public:
  using IoError::IoError;
};

/// Replaces target so that at any moment, also after a crash or power loss, it holds its old content or the new one.
///
/// write makes a file of the name it is given, beside the target (".name.tmp-<pid>"); that is synced to the disk and
/// renamed over the target. If anything throws, the temporary file is removed and the target is as before.
/// Throws: DiskFull, before write runs, if the disk has less than expected_bytes and a tenth free; whatever write
/// throws.
void durable_write(const std::filesystem::path& target, const std::function<void(const std::filesystem::path&)>& write,
                   int64_t expected_bytes = 0);
/// The same for content in memory.
void durable_write(const std::filesystem::path& target, std::string_view content);

/// Removes what durable_write left in the folder when its process was killed; files of living processes stay.
/// Returns how many were removed.
int remove_stale_temporaries(const std::filesystem::path& folder);

/// Throws IoError if path is a folder, a pipe, a socket or a device: reading one can wait for ever. Says nothing about
/// a missing file.
void expect_file(std::string_view op, const std::filesystem::path& path);

/// The whole file. Throws IoError if it is larger than max_bytes, or as expect_file.
std::string read_file(const std::filesystem::path& path, int64_t max_bytes);

/// A file's bytes, read by the system when touched. The constructor throws as expect_file. A file that shrinks while
/// mapped ends the program (SIGBUS): durable files are replaced, never shortened.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  /// The whole file. Valid while the mapping lives.
  std::span<const std::byte> bytes() const { return bytes_; }
  /// The same, for writing: what is written stays in this mapping, the file remains as it is.
  std::span<std::byte> private_bytes() { return bytes_; }
  /// Reads a part at once; otherwise the system reads it page by page on first access.
  void prefetch(int64_t offset, int64_t bytes) const;

 private:
  std::span<std::byte> bytes_;
};

/// Throws IoError "path: cannot <action>: <the system's reason>".
[[noreturn]] void fail_errno(std::string_view op, const std::filesystem::path& path, std::string_view action,
                             int error = errno);
/// Throws WriteError with the same text, or DiskFull where that is the reason.
[[noreturn]] void fail_write(std::string_view op, const std::filesystem::path& path, std::string_view action,
                             int error = errno);

namespace testing {
/// Called before each step of durable_write: "write", "sync", "rename", "sync folder", "done". A test may throw, kill
/// or wait here. As it is, it waits $VITRAIL_TEST_SLOW_WRITE_MS milliseconds, so that a test can kill a whole program
/// in the middle of a write.
extern std::function<void(std::string_view step)> on_write_step;
}  // namespace testing

}  // namespace vitrail
