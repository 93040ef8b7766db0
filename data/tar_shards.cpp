#include "data/tar_shards.h"

#include "core/error.h"
#include "core/file.h"
#include "data/gzip.h"
#include "data/path_labels.h"
#include "data/tar.h"

#include <optional>
#include <utility>

namespace vitrail::data {
namespace {

/// One archive's bytes: the mapped file, or what it inflates to.
class Shard final {
 public:
  explicit Shard(std::string path) : path_(std::move(path)) {
    MappedFile file(path_);
    if (is_gzip(file.bytes()))
      inflated_ = gunzip(file.bytes(), path_);
    else
      file_.emplace(std::move(file));
  }

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return file_ ? file_->bytes() : std::span<const std::byte>(inflated_); }

 private:
  std::string path_;
  std::optional<MappedFile> file_;
  Bytes inflated_;
};

class TarShards final : public Dataset {
 public:
  TarShards(const std::vector<std::string>& paths, const SourceOptions& options) {
    for (const std::string& path : paths) add(path);
    check<DataError>(!members_.empty(), "dataset", "{} holds no .jpg, .png or .bmp files",
                     paths.empty() ? std::string("an empty list of archives") : paths.front());
    std::vector<std::string_view> names;
    names.reserve(members_.size());
    for (const Member& member : members_) names.push_back(member.file.name);
    labels_ = labels_from_paths(names, options, paths.front());
  }

  int64_t size() const override { return int64_t(members_.size()); }
  const std::vector<std::string>& classes() const override { return labels_.classes; }
  int64_t label(int64_t index) const override { return labels_.labels.at(size_t(index)); }
  Sample get(int64_t index) const override { return {decode_image(content(index)), label(index)}; }
  Bytes encoded(int64_t index) const override {
    const auto bytes = content(index);
    return {bytes.begin(), bytes.end()};
  }
  std::string name(int64_t index) const override {
    const Member& member = members_.at(size_t(index));
    return shards_[member.shard].path() + "/" + member.file.name;
  }

 private:
  struct Member {
    size_t shard;
    TarMember file;
  };

  void add(const std::string& path) {
    const Shard& shard = shards_.emplace_back(path);
    for (TarMember& file : read_tar_index(shard.bytes(), path))
      if (is_picture_name(file.name)) members_.push_back({shards_.size() - 1, std::move(file)});
  }

  std::span<const std::byte> content(int64_t index) const {
    const Member& member = members_.at(size_t(index));
    return shards_[member.shard].bytes().subspan(member.file.offset, member.file.size);
  }

  std::vector<Shard> shards_;
  std::vector<Member> members_;
  PathLabels labels_;
};

}  // namespace

std::unique_ptr<Dataset> open_tar_shards(const std::vector<std::string>& paths, const SourceOptions& options) {
  return std::make_unique<TarShards>(paths, options);
}

}  // namespace vitrail::data
