#include "vitrail/data/sources/image_list.h"

#include "vitrail/core/error.h"
#include "vitrail/data/sources/image_folder.h"
#include "vitrail/data/sources/tar_shards.h"
#include "vitrail/data/sources/unread_files.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <iterator>
#include <unordered_map>
#include <utility>

namespace vitrail::data {
namespace {

namespace fs = std::filesystem;

std::string place(const std::string& source, std::string_view nearest) {
  return source + (nearest.empty() ? ", which is empty" : ", where the nearest name is '" + std::string(nearest) + "'");
}

class ArchivedImages final : public ImageList {
 public:
  explicit ArchivedImages(const std::vector<std::string>& paths) : shards_(paths), members_(shards_.take_index()) {
    entries_.reserve(members_.size());
    for (size_t i = 0; i < members_.size(); ++i) {
      const auto [entry, fresh] = entries_.try_emplace(members_[i].file.name, Entry{i});
      if (!fresh) entry->second.twice = true;
    }
  }

  std::optional<int64_t> find(std::string_view name) override {
    while (name.starts_with("./")) name.remove_prefix(2);
    const auto found = entries_.find(name);
    if (found == entries_.end()) return std::nullopt;
    Entry& entry = found->second;
    if (entry.twice) fail_twice(members_[entry.member]);
    if (entry.number < 0) {
      entry.number = int64_t(chosen_.size());
      chosen_.push_back(entry.member);
    }
    return entry.number;
  }

  std::string instead_of(std::string_view name) const override {
    std::vector<std::string_view> names;
    names.reserve(members_.size());
    for (const TarShards::Member& member : members_) names.push_back(member.file.name);
    return place(shards_.names(), most_like(name, names));
  }

  std::unique_ptr<Dataset> take(std::vector<std::string> notes) override {
    entries_.clear();  // their names are in members_
    std::vector<TarShards::Member> members;
    members.reserve(chosen_.size());
    for (const size_t i : chosen_) members.push_back(std::move(members_[i]));
    return make_tar_dataset(std::move(shards_), std::move(members), {}, std::move(notes));
  }

 private:
  struct Entry {
    size_t member = 0;
    int64_t number = -1;  // none yet
    bool twice = false;
  };

  [[noreturn]] void fail_twice(const TarShards::Member& first) const {
    const auto second = std::find_if(members_.rbegin(), members_.rend(),
                                     [&](const auto& member) { return member.file.name == first.file.name; });
    fail<DataError>("dataset", "the table does not say which is meant: {} or {}", shards_.name(first),
                    shards_.name(*second));
  }

  TarShards shards_;
  std::vector<TarShards::Member> members_;
  std::unordered_map<std::string_view, Entry> entries_;  // by the names in members_
  std::vector<size_t> chosen_;                           // members, by number
};

/// A folder that names must not leave.
class Enclosure final {
 public:
  Enclosure(const std::string& folder, bool follow_symlinks) : follow_(follow_symlinks) {
    std::error_code error;
    plain_ = (fs::absolute(folder, error) / "").lexically_normal();
    real_ = fs::weakly_canonical(folder, error) / "";
  }

  /// Whether the file lies in the folder, all links resolved; or, if links are followed, without regard to them.
  bool holds(const fs::path& file) const {
    std::error_code error;
    const fs::path resolved = fs::weakly_canonical(file, error);
    if (!error && is_in(real_, resolved)) return true;
    return follow_ && holds_by_name(file);
  }
  /// The same by the name alone.
  bool holds_by_name(const fs::path& file) const {
    std::error_code error;
    return is_in(plain_, fs::absolute(file, error).lexically_normal());
  }

 private:
  static bool is_in(const fs::path& folder, const fs::path& file) {  // folder ends with a slash
    return file.native().starts_with(folder.native());
  }

  bool follow_;
  fs::path plain_, real_;
};

class ListedFiles final : public ImageList {
 public:
  ListedFiles(const std::string& folder, bool follow_symlinks) : folder_(folder), table_(folder, follow_symlinks) {}

  std::optional<int64_t> find(std::string_view name) override {
    const auto found = numbers_.find(name);
    if (found != numbers_.end()) return found->second;
    if (names_.empty()) choose_folder(name);
    if (!table_.holds(fs::path(folder_) / name) || !is_file(folder_, name)) return std::nullopt;
    names_.emplace_back(name);
    numbers_.emplace(names_.back(), int64_t(names_.size()) - 1);
    return int64_t(names_.size()) - 1;
  }

  std::string instead_of(std::string_view name) const override {
    if (!table_.holds(fs::path(folder_) / name))
      return folder_ + (table_.holds_by_name(fs::path(folder_) / name)
                            ? ": a symbolic link leads out of it; " + std::string(kFollowLinks)
                            : ": the name leads out of it, and a table may name files of its own folder only; copy the "
                              "images there, or move the table to a folder that holds them");
    fs::path there = folder_;
    std::string next;  // the part of the name that does not exist
    for (const fs::path& part : fs::path(name)) {
      next = part.string();
      std::error_code unknown;
      if (!fs::is_directory(there / part, unknown)) break;
      there /= part;
    }
    std::vector<std::string> entries;
    std::error_code error;
    for (fs::directory_iterator it(there, error), end; !error && it != end; it.increment(error))
      entries.push_back(it->path().filename().string());
    std::sort(entries.begin(), entries.end());
    return place(there.string(), most_like(next, {entries.begin(), entries.end()}));
  }

  std::unique_ptr<Dataset> take(std::vector<std::string> notes) override {
    numbers_.clear();
    std::vector<std::string> files(std::make_move_iterator(names_.begin()), std::make_move_iterator(names_.end()));
    names_.clear();
    return make_file_dataset(folder_, std::move(files), {}, std::move(notes));
  }

 private:
  static bool is_file(const std::string& folder, std::string_view name) {
    std::error_code unknown;
    return fs::is_regular_file(name.starts_with('/') ? std::string(name) : folder + "/" + std::string(name), unknown);
  }

  void choose_folder(std::string_view first) {
    for (const char* inside : {"/images", "/Images"})
      if (!is_file(folder_, first) && is_file(folder_ + inside, first)) folder_ += inside;
  }

  std::string folder_;
  Enclosure table_;
  std::deque<std::string> names_;                          // a deque never moves its elements
  std::unordered_map<std::string_view, int64_t> numbers_;  // by the names in names_
};

}  // namespace

std::unique_ptr<ImageList> list_of_archives(const std::vector<std::string>& paths) {
  return std::make_unique<ArchivedImages>(paths);
}

std::unique_ptr<ImageList> list_of_files(const std::string& folder, bool follow_symlinks) {
  return std::make_unique<ListedFiles>(folder, follow_symlinks);
}

std::string_view most_like(std::string_view wanted, const std::vector<std::string_view>& names) {
  std::string_view best;
  std::pair<size_t, int64_t> most{0, 0};
  for (const std::string_view name : names) {
    const size_t shorter = std::min(wanted.size(), name.size());
    const auto begin =
        size_t(std::mismatch(name.begin(), name.begin() + int64_t(shorter), wanted.begin()).first - name.begin());
    size_t end = 0;
    while (begin + end < shorter && name[name.size() - 1 - end] == wanted[wanted.size() - 1 - end]) ++end;
    const std::pair likeness(begin + end, -std::abs(int64_t(name.size()) - int64_t(wanted.size())));
    if (best.empty() || likeness > most) {
      best = name;
      most = likeness;
    }
  }
  return best;
}

}  // namespace vitrail::data
