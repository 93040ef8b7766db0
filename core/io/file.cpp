#include "vitrail/core/io/file.h"

#include "vitrail/core/error.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <system_error>
#include <thread>
#include <utility>

namespace vitrail {

namespace fs = std::filesystem;

namespace testing {
std::function<void(std::string_view)> on_write_step = [](std::string_view) {
  if (const char* ms = std::getenv("VITRAIL_TEST_SLOW_WRITE_MS"))
    std::this_thread::sleep_for(std::chrono::milliseconds(std::atoi(ms)));
};
}  // namespace testing

void fail_errno(std::string_view op, const fs::path& path, std::string_view action, int error) {
  fail<IoError>(op, "{}: cannot {}: {}", path.string(), action, std::generic_category().message(error));
}

void fail_write(std::string_view op, const fs::path& path, std::string_view action, int error) {
  const std::string reason = std::generic_category().message(error);
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  if (full) fail<DiskFull>(op, "{}: cannot {}: {}", path.string(), action, reason);
  fail<WriteError>(op, "{}: cannot {}: {}", path.string(), action, reason);
}

namespace {

constexpr std::string_view kMark = ".tmp-";

/// An open file; closed at the end of the scope.
class Descriptor {
 public:
  Descriptor(std::string_view op, const fs::path& path, int flags)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (fd_ < 0) (flags & (O_WRONLY | O_RDWR)) != 0 ? fail_write(op, path, "open") : fail_errno(op, path, "open");
  }
  ~Descriptor() { ::close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator int() const { return fd_; }

 private:
  int fd_;
};

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a pipe";
  return S_ISSOCK(mode) ? "a socket" : "a device";
}

void expect_regular(std::string_view op, const fs::path& path, mode_t mode) {
  check<IoError>(S_ISREG(mode), op, "{}: is not a file but {}", path.string(), kind_of(mode));
}

/// A regular file, open for reading.
class Input {
 public:
  Input(std::string_view op, const fs::path& path) : fd_(open(op, path)) {
    struct stat info {};
    if (::fstat(fd_, &info) != 0) fail_errno(op, path, "read its size");
    expect_regular(op, path, info.st_mode);  // it may have changed since open() looked
    size_ = info.st_size;
  }
  operator int() const { return fd_; }
  int64_t size() const { return size_; }

 private:
  static Descriptor open(std::string_view op, const fs::path& path) {
    expect_file(op, path);                               // opening a device can do something
    return Descriptor(op, path, O_RDONLY | O_NONBLOCK);  // does not wait for a pipe's writer
  }

  Descriptor fd_;
  int64_t size_ = 0;
};

void sync(const fs::path& path, int flags) {
  const Descriptor fd("write", path, flags);
  if (::fsync(fd) != 0) fail_write("write", path, "sync to the disk");
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

void check_free_space(const fs::path& folder, int64_t expected_bytes) {
  std::error_code unknown;
  check<WriteError>(fs::exists(folder, unknown) || unknown, "write", "the folder {} does not exist", folder.string());
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) fail_write("write", folder, "read the free space");
  const double available = double(info.f_bavail) * double(info.f_frsize), needed = 1.1 * double(expected_bytes);
  check<DiskFull>(available >= needed, "write", "{}: {} MiB are free, {} MiB are needed", folder.string(),
                  int64_t(available / (1 << 20)), int64_t(needed / (1 << 20)) + 1);
}

void write_all(const fs::path& path, std::string_view content) {
  const Descriptor fd("write", path, O_WRONLY | O_CREAT | O_TRUNC);
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_write("write", path, "write");
    content.remove_prefix(size_t(n));
  }
}

/// The id of the process that wrote a temporary file. 0 for the names of other files.
pid_t writer_of(const std::string& name) {
  const size_t mark = name.rfind(kMark);
  if (!name.starts_with('.') || mark == std::string::npos) return 0;
  const char *first = name.data() + mark + kMark.size(), *last = name.data() + name.size();
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(first, last, pid);
  return error == std::errc() && end == last && pid > 0 ? pid : 0;
}

}  // namespace

void durable_write(const fs::path& target, const std::function<void(const fs::path&)>& write, int64_t expected_bytes) {
  const fs::path folder = folder_of(target);
  const fs::path temporary =
      folder / ("." + target.filename().string() + std::string(kMark) + std::to_string(::getpid()));
  check_free_space(folder, expected_bytes);
  try {
    testing::on_write_step("write");
    write(temporary);
    testing::on_write_step("sync");
    sync(temporary, O_RDWR);
    testing::on_write_step("rename");
    if (::rename(temporary.c_str(), target.c_str()) != 0) fail_write("write", target, "put the new file in place");
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  testing::on_write_step("sync folder");
  sync(folder, O_RDONLY | O_DIRECTORY);
  testing::on_write_step("done");
}

void durable_write(const fs::path& target, std::string_view content) {
  durable_write(
      target, [&](const fs::path& temporary) { write_all(temporary, content); }, int64_t(content.size()));
}

int remove_stale_temporaries(const fs::path& folder) {
  int removed = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const pid_t pid = writer_of(entry.path().filename().string());
    const bool dead = pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH;
    if (dead && ::unlink(entry.path().c_str()) == 0) ++removed;
  }
  if (error) fail<IoError>("remove_stale_temporaries", "{}: {}", folder.string(), error.message());
  return removed;
}

void expect_file(std::string_view op, const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) expect_regular(op, path, info.st_mode);
}

std::string read_file(const fs::path& path, int64_t max_bytes) {
  const Input fd("read", path);
  const int64_t size = fd.size();
  check<IoError>(size <= max_bytes, "read", "{}: has {} bytes; at most {} are read", path.string(), size, max_bytes);
  std::string content(size_t(size), '\0');
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::read(fd, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno("read", path, "read");
    check<IoError>(n > 0, "read", "{}: ends after {} of {} bytes", path.string(), done, size);
    done += size_t(n);
  }
  return content;
}

MappedFile::MappedFile(const fs::path& path) {
  const Input fd("read", path);
  const auto size = size_t(fd.size());
  if (size == 0) return;
  void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  if (address == MAP_FAILED) fail_errno("read", path, "map");
  bytes_ = {static_cast<std::byte*>(address), size};
}

void MappedFile::prefetch(int64_t offset, int64_t bytes) const {
  constexpr auto kPage = int64_t{4096};
  const int64_t begin = offset / kPage * kPage;
  // Older kernels refuse the advice, which does no harm.
  ::madvise(bytes_.data() + begin, size_t(offset + bytes - begin), MADV_POPULATE_READ);
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace vitrail
