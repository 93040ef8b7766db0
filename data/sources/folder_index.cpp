#include "vitrail/data/sources/folder_index.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/image/image_checks.h"

#include <dirent.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <string_view>

namespace vitrail::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t kWorthCaching = 2'000;      // files; fewer are listed at once
constexpr int64_t kSettled = 2'000'000'000;  // ns: a folder changed more recently may change again unnoticed
constexpr std::string_view kMagic = "vitrail folder index 3\n";

int64_t change_time(const struct stat& info) {
  return int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + int64_t{info.st_mtim.tv_nsec};
}

std::string join(const std::string& folder, std::string_view name) {
  return folder.empty() ? std::string(name) : folder + "/" + std::string(name);
}

struct CloseDir {
  void operator()(DIR* dir) const { closedir(dir); }
};

class Scan final {
 public:
  Scan(std::string root, bool follow_symlinks) : root_(std::move(root)), follow_(follow_symlinks) {}

  FolderIndex run() {
    pending_.push_back("");
    while (!pending_.empty()) {
      const std::string folder = std::move(pending_.back());
      pending_.pop_back();
      read_folder(folder);
    }
    std::sort(out_.files.begin(), out_.files.end());
    return std::move(out_);
  }

 private:
  void read_folder(const std::string& folder) {
    const std::string path = join(root_, folder);
    struct stat info {};
    const bool known = stat(path.c_str(), &info) == 0;
    if (known && !seen_.emplace(info.st_dev, info.st_ino).second) return;  // a circle of links
    const std::unique_ptr<DIR, CloseDir> dir(known ? opendir(path.c_str()) : nullptr);
    if (dir == nullptr) cannot_list(path);
    out_.folders.emplace_back(folder, change_time(info));
    errno = 0;
    while (const dirent* entry = readdir(dir.get())) {
      if (!is_passed_over(entry->d_name)) add(join(folder, entry->d_name), entry->d_type);
      errno = 0;
    }
    if (errno != 0) cannot_list(path);
  }

  [[noreturn]] static void cannot_list(const std::string& path) {
    fail<IoError>("dataset", "cannot list folder {}: {}", path, std::string(std::strerror(errno)));
  }

  void add(std::string name, unsigned char type) {
    if (type == DT_UNKNOWN || type == DT_LNK) type = resolve(name, type);
    if (type == DT_DIR)
      pending_.push_back(std::move(name));
    else if (type == DT_REG && is_image_name(name))
      out_.files.push_back(std::move(name));
    else if (type == DT_REG)
      count_unread(out_.unread, name);
  }

  /// The type of a link's target, or of an entry whose type the file system does not tell. A dangling link is listed as
  /// a file, so that its image is reported as broken.
  unsigned char resolve(const std::string& name, unsigned char type) {
    const std::string path = join(root_, name);
    struct stat info {};
    if (type == DT_UNKNOWN && lstat(path.c_str(), &info) == 0 && !S_ISLNK(info.st_mode))
      return S_ISDIR(info.st_mode) ? DT_DIR : S_ISREG(info.st_mode) ? DT_REG : DT_UNKNOWN;
    const bool there = stat(path.c_str(), &info) == 0;
    if (!follow_) {
      const bool folder = there && S_ISDIR(info.st_mode) && name.find('/') == std::string::npos;  // a class
      ++out_.unread[folder ? name : std::string(first_folder(name))].links;
      return DT_UNKNOWN;
    }
    if (!there) return DT_REG;
    return S_ISDIR(info.st_mode) ? DT_DIR : S_ISREG(info.st_mode) ? DT_REG : DT_UNKNOWN;
  }

  std::string root_;
  bool follow_;
  FolderIndex out_;
  std::vector<std::string> pending_;
  std::set<std::pair<dev_t, ino_t>> seen_;
};

// ---- the cache: magic, root, kinds of images, counts, names, times, a hash of all these
// ----------------------------------------------

void put(std::string& out, int64_t value) { out.append(reinterpret_cast<const char*>(&value), sizeof value); }
void put(std::string& out, std::string_view text) {
  put(out, int64_t(text.size()));
  out += text;
}

/// Reads what put() wrote. Throws IoError past the end; the caller then scans again.
class CacheReader final {
 public:
  explicit CacheReader(std::string_view bytes) : bytes_(bytes) {}
  int64_t number() {
    int64_t value = 0;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string text() { return std::string(take(number())); }
  bool done() const { return bytes_.empty(); }

 private:
  std::string_view take(int64_t count) {
    check<IoError>(count >= 0 && count <= int64_t(bytes_.size()), "index", "the cache is damaged");
    const std::string_view out = bytes_.substr(0, size_t(count));
    bytes_.remove_prefix(size_t(count));
    return out;
  }
  std::string_view bytes_;
};

std::string hash_of(std::string_view bytes) {
  const uint64_t hash = XXH3_64bits(bytes.data(), bytes.size());
  return {reinterpret_cast<const char*>(&hash), sizeof hash};
}

void save(const FolderIndex& index, const std::string& root, const std::string& cache) {
  std::string out(kMagic);
  put(out, root);
  put(out, image_kinds("and"));
  put(out, int64_t(index.unread.size()));
  for (const auto& [folder, unread] : index.unread) {
    put(out, folder);
    put(out, unread.links);
    put(out, int64_t(unread.endings.size()));
    for (const auto& [ending, count] : unread.endings) {
      put(out, ending);
      put(out, count);
    }
  }
  put(out, int64_t(index.folders.size()));
  for (const auto& [folder, time] : index.folders) {
    put(out, folder);
    put(out, time);
  }
  put(out, int64_t(index.files.size()));
  for (const std::string& file : index.files) put(out, file);
  fs::create_directories(fs::path(cache).parent_path());
  durable_write(cache, out + hash_of(out));
}

bool is_current(const FolderIndex& index, const std::string& root) {
  return std::all_of(index.folders.begin(), index.folders.end(), [&](const auto& folder) {
    struct stat info {};
    return stat(join(root, folder.first).c_str(), &info) == 0 && change_time(info) == folder.second;
  });
}

bool load(FolderIndex& index, const std::string& root, const std::string& cache) {
  const MappedFile file(cache);
  const std::string_view all(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  if (all.size() < kMagic.size() + sizeof(uint64_t) || !all.starts_with(kMagic)) return false;
  const std::string_view content = all.substr(0, all.size() - sizeof(uint64_t));
  if (hash_of(content) != all.substr(content.size())) return false;
  CacheReader reader(content.substr(kMagic.size()));
  if (reader.text() != root || reader.text() != image_kinds("and")) return false;
  for (int64_t left = reader.number(); left > 0; --left) {
    Unread& unread = index.unread[reader.text()];
    unread.links = reader.number();
    for (int64_t endings = reader.number(); endings > 0; --endings) {
      int64_t& count = unread.endings[reader.text()];
      count = reader.number();
    }
  }
  for (int64_t left = reader.number(); left > 0; --left) {
    std::string folder = reader.text();
    index.folders.emplace_back(std::move(folder), reader.number());
  }
  if (!is_current(index, root)) return false;
  for (int64_t left = reader.number(); left > 0; --left) index.files.push_back(reader.text());
  return reader.done();
}

bool is_settled(const FolderIndex& index) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const int64_t latest = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count() - kSettled;
  return std::all_of(index.folders.begin(), index.folders.end(), [&](const auto& f) { return f.second < latest; });
}

}  // namespace

FolderIndex scan_folder(const std::string& root, bool follow_symlinks) { return Scan(root, follow_symlinks).run(); }

std::string index_cache_path(const std::string& root, bool follow_symlinks) {
  const char* cache_home = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  fs::path folder;
  if (cache_home != nullptr && *cache_home == '/')
    folder = cache_home;
  else if (home != nullptr && *home == '/')
    folder = fs::path(home) / ".cache";
  else
    return {};
  std::error_code unknown;
  const std::string key = fs::weakly_canonical(root, unknown).string() + (follow_symlinks ? "|follow" : "");
  return (folder / "vitrail" / ("folder-" + std::to_string(XXH3_64bits(key.data(), key.size())) + ".index")).string();
}

FolderIndex index_folder(const std::string& root, bool follow_symlinks) {
  const std::string cache = index_cache_path(root, follow_symlinks);
  if (!cache.empty()) try {
      FolderIndex index;
      if (fs::exists(cache) && load(index, root, cache)) return index;
    } catch (const std::exception&) {
      // Goes on without a cache: the next run scans the folders.
    }
  FolderIndex index = scan_folder(root, follow_symlinks);
  if (!cache.empty() && index.files.size() >= kWorthCaching && is_settled(index)) try {
      save(index, root, cache);
    } catch (const std::exception&) {
      // The next run scans again.
    }
  return index;
}

}  // namespace vitrail::data
