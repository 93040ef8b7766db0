#include "vitrail/data/sources/tar_shards.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/image/image_checks.h"
#include "vitrail/data/io/gzip.h"
#include "vitrail/data/sources/sample_labels.h"
#include "vitrail/data/sources/unread_files.h"

#include <optional>
#include <utility>

namespace vitrail::data {

namespace {

constexpr uint64_t kLargestKept = uint64_t{64} << 20;  // of a gzipped archive's files; no image may be larger

bool is_kept(std::string_view name, uint64_t size) {
  const std::string ending = ending_of(name);
  const bool read = is_image_name(name) || ending == ".txt" || ending == ".cls" || ending == ".json";
  return read && size <= kLargestKept && !is_passed_over(name);
}

}  // namespace

/// One archive: mapped, or what is kept of an inflated one.
struct TarShards::Shard {
  explicit Shard(std::string name) : path(std::move(name)) {
    MappedFile mapped(path);
    if (is_gzip(mapped.bytes())) {
      auto [whole, kept] = inflate_tar(mapped.bytes(), path, is_kept);
      index = std::move(whole);
      contents = std::move(kept);
    } else {
      index = read_tar_index(mapped.bytes(), path);
      file.emplace(std::move(mapped));
    }
  }

  std::string path;
  TarIndex index;
  std::optional<MappedFile> file;
  std::vector<Bytes> contents;
};

TarShards::TarShards(const std::vector<std::string>& paths) {
  check<DataError>(!paths.empty(), "dataset", "an empty list of archives");
  shards_.reserve(paths.size());
  for (const std::string& path : paths) shards_.emplace_back(path);
}
TarShards::~TarShards() = default;
TarShards::TarShards(TarShards&&) noexcept = default;
TarShards& TarShards::operator=(TarShards&&) noexcept = default;

std::vector<TarShards::Member> TarShards::take_index() {
  std::vector<Member> members;
  for (size_t i = 0; i < shards_.size(); ++i)
    for (TarMember& file : std::exchange(shards_[i].index.members, {}))
      if (!is_passed_over(file.name)) members.push_back({i, std::move(file)});
  return members;
}

std::span<const std::byte> TarShards::content(const Member& member) const {
  const Shard& shard = shards_.at(member.shard);
  if (shard.file) return shard.file->bytes().subspan(member.file.offset, member.file.size);
  check<IoError>(member.file.offset != InflatedTar::kNotKept, "tar",
                 "the file has {} bytes; of a gzipped archive at most {} are read", member.file.size, kLargestKept);
  return shard.contents[member.file.offset];
}

std::string TarShards::name(const Member& member) const {
  return shards_.at(member.shard).path + "/" + member.file.name;
}

std::string TarShards::names() const {
  const std::string& first = shards_.front().path;
  return shards_.size() == 1 ? first : first + " and " + std::to_string(shards_.size() - 1) + " more";
}

std::vector<std::string> TarShards::notes() const {
  std::vector<std::string> notes;
  for (const Shard& shard : shards_)
    if (!shard.index.ended)
      notes.push_back(shard.path + ": ends without its end mark; if files are missing, it was cut between two of them");
  return notes;
}

namespace {

class TarDataset final : public Dataset {
 public:
  TarDataset(TarShards shards, std::vector<TarShards::Member> members, PathLabels labels,
             std::vector<std::string> notes)
      : shards_(std::move(shards)), members_(std::move(members)), labels_(std::move(labels)), notes_(std::move(notes)) {
    for (std::string& note : shards_.notes()) notes_.push_back(std::move(note));
  }

  int64_t size() const override { return int64_t(members_.size()); }
  const std::vector<std::string>& classes() const override { return labels_.classes; }
  int64_t label(int64_t index) const override { return labels_.of(index); }
  Sample get(int64_t index) const override { return {decode_image(content(index)), label(index)}; }
  Bytes encoded(int64_t index) const override {
    const auto bytes = content(index);
    return {bytes.begin(), bytes.end()};
  }
  std::string name(int64_t index) const override { return shards_.name(members_.at(size_t(index))); }
  std::vector<std::string> notes() const override { return notes_; }

 private:
  std::span<const std::byte> content(int64_t index) const { return shards_.content(members_.at(size_t(index))); }

  TarShards shards_;
  std::vector<TarShards::Member> members_;
  PathLabels labels_;
  std::vector<std::string> notes_;
};

}  // namespace

std::unique_ptr<Dataset> make_tar_dataset(TarShards shards, std::vector<TarShards::Member> members, PathLabels labels,
                                          std::vector<std::string> notes) {
  return std::make_unique<TarDataset>(std::move(shards), std::move(members), std::move(labels), std::move(notes));
}

std::unique_ptr<Dataset> open_tar_shards(const std::vector<std::string>& paths, const SourceOptions& options) {
  TarShards shards(paths);
  std::vector<TarShards::Member> members = shards.take_index();
  std::optional<PathLabels> labels;
  if (options.labelled) labels = labels_from_samples(shards, members, options);
  std::vector<std::string_view> images;
  UnreadFiles unread;
  for (const TarShards::Member& member : members)
    is_image_name(member.file.name) ? images.push_back(member.file.name) : count_unread(unread, member.file.name);
  std::vector<std::string> notes = unread_notes(unread, shards.names());
  check<DataError>(!images.empty(), "dataset", "{} holds no {} files{}", shards.names(), image_kinds("or"),
                   as_ending(notes));
  if (!labels) {
    check_no_class_vanishes(unread, images, options, shards.names());
    labels = labels_from_paths(images, options, shards.names());
  }
  std::erase_if(members, [](const TarShards::Member& member) { return !is_image_name(member.file.name); });
  return make_tar_dataset(std::move(shards), std::move(members), *std::move(labels), std::move(notes));
}

}  // namespace vitrail::data
