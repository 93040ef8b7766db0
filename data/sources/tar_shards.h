// Images in tar archives, plain or gzipped, read in place. The first folder of a member's name is its class.
#pragma once

#include "vitrail/data/io/tar.h"
#include "vitrail/data/sources/dataset.h"
#include "vitrail/data/sources/path_labels.h"

#include <span>

namespace vitrail::data {

/// Several archives opened together: mapped, or inflated into memory if gzipped.
class TarShards final {
 public:
  struct Member {
    size_t shard = 0;
    TarMember file;
  };

  /// Throws IoError if an archive cannot be read or inflated.
  explicit TarShards(const std::vector<std::string>& paths);
  ~TarShards();
  TarShards(TarShards&&) noexcept;
  TarShards& operator=(TarShards&&) noexcept;

  /// Every file in the archives, in the order they were given and the order inside.
  /// Throws IoError as read_tar_index.
  std::vector<Member> read_index() const;
  std::span<const std::byte> content(const Member& member) const;
  /// "shard.tar/member".
  std::string name(const Member& member) const;
  /// The archives' names for messages: "a.tar", "a.tar and 3 more".
  std::string names() const;

 private:
  struct Shard;
  std::vector<Shard> shards_;
};

/// A dataset of the given members, in their order.
std::unique_ptr<Dataset> make_tar_dataset(TarShards shards, std::vector<TarShards::Member> members, PathLabels labels);

/// The images of the archives, in the order given and the order inside. A gzipped archive is inflated into memory.
/// Throws IoError as read_tar_index, DataError if there are no images or their folders make no classes.
std::unique_ptr<Dataset> open_tar_shards(const std::vector<std::string>& paths, const SourceOptions& options = {});

}  // namespace vitrail::data
