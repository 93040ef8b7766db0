#include "vitrail/data/sources/tar_shards.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/io/gzip.h"

#include <optional>
#include <utility>

namespace vitrail::data {

/// One archive's bytes: mapped, or inflated.
struct TarShards::Shard {
  explicit Shard(std::string name) : path(std::move(name)) {
    MappedFile mapped(path);
    if (is_gzip(mapped.bytes()))
      inflated = gunzip(mapped.bytes(), path);
    else
      file.emplace(std::move(mapped));
  }

  std::span<const std::byte> bytes() const { return file ? file->bytes() : std::span<const std::byte>(inflated); }

  std::string path;
  std::optional<MappedFile> file;
  Bytes inflated;
};

TarShards::TarShards(const std::vector<std::string>& paths) {
  check<DataError>(!paths.empty(), "dataset", "an empty list of archives");
  shards_.reserve(paths.size());
  for (const std::string& path : paths) shards_.emplace_back(path);
}
TarShards::~TarShards() = default;
TarShards::TarShards(TarShards&&) noexcept = default;
TarShards& TarShards::operator=(TarShards&&) noexcept = default;

std::vector<TarShards::Member> TarShards::read_index() const {
  std::vector<Member> members;
  for (size_t i = 0; i < shards_.size(); ++i)
    for (TarMember& file : read_tar_index(shards_[i].bytes(), shards_[i].path)) members.push_back({i, std::move(file)});
  return members;
}

std::span<const std::byte> TarShards::content(const Member& member) const {
  return shards_.at(member.shard).bytes().subspan(member.file.offset, member.file.size);
}

std::string TarShards::name(const Member& member) const {
  return shards_.at(member.shard).path + "/" + member.file.name;
}

std::string TarShards::names() const {
  const std::string& first = shards_.front().path;
  return shards_.size() == 1 ? first : first + " and " + std::to_string(shards_.size() - 1) + " more";
}

namespace {

class TarDataset final : public Dataset {
 public:
  TarDataset(TarShards shards, std::vector<TarShards::Member> members, PathLabels labels)
      : shards_(std::move(shards)), members_(std::move(members)), labels_(std::move(labels)) {}

  int64_t size() const override { return int64_t(members_.size()); }
  const std::vector<std::string>& classes() const override { return labels_.classes; }
  int64_t label(int64_t index) const override { return labels_.of(index); }
  Sample get(int64_t index) const override { return {decode_image(content(index)), label(index)}; }
  Bytes encoded(int64_t index) const override {
    const auto bytes = content(index);
    return {bytes.begin(), bytes.end()};
  }
  std::string name(int64_t index) const override { return shards_.name(members_.at(size_t(index))); }

 private:
  std::span<const std::byte> content(int64_t index) const { return shards_.content(members_.at(size_t(index))); }

  TarShards shards_;
  std::vector<TarShards::Member> members_;
  PathLabels labels_;
};

}  // namespace

std::unique_ptr<Dataset> make_tar_dataset(TarShards shards, std::vector<TarShards::Member> members, PathLabels labels) {
  return std::make_unique<TarDataset>(std::move(shards), std::move(members), std::move(labels));
}

std::unique_ptr<Dataset> open_tar_shards(const std::vector<std::string>& paths, const SourceOptions& options) {
  TarShards shards(paths);
  std::vector<TarShards::Member> members = shards.read_index();
  std::erase_if(members, [](const TarShards::Member& member) { return !is_image_name(member.file.name); });
  check<DataError>(!members.empty(), "dataset", "{} holds no .jpg, .png or .bmp files", shards.names());
  std::vector<std::string_view> names;
  names.reserve(members.size());
  for (const TarShards::Member& member : members) names.push_back(member.file.name);
  PathLabels labels = labels_from_paths(names, options, paths.front());
  return make_tar_dataset(std::move(shards), std::move(members), std::move(labels));
}

}  // namespace vitrail::data
