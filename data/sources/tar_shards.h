// Images in tar archives, plain or gzipped. A class is the first folder of a member's name, or in a file beside it
// (sample_labels.h).
#pragma once

#include "vitrail/data/io/tar.h"
#include "vitrail/data/sources/dataset.h"
#include "vitrail/data/sources/path_labels.h"

#include <span>
#include <string>
#include <vector>

namespace vitrail::data {

/// Several archives opened together: mapped, or, if gzipped, with the contents of their images and text files inflated
/// into memory.
class TarShards final {
 public:
  struct Member {
    size_t shard = 0;
    TarMember file;
  };

  /// Throws IoError as read_tar_index and inflate_tar.
  explicit TarShards(const std::vector<std::string>& paths);
  ~TarShards();
  TarShards(TarShards&&) noexcept;
  TarShards& operator=(TarShards&&) noexcept;

  /// Every file in the archives but those that is_passed_over names, in the order they were given and the order inside.
  /// Call it once.
  std::vector<Member> take_index();
  /// Throws IoError for a member of a gzipped archive that was too large to keep, or of no kind that is read.
  std::span<const std::byte> content(const Member& member) const;
  /// "shard.tar/member".
  std::string name(const Member& member) const;
  /// The archives' names for messages: "a.tar", "a.tar and 3 more".
  std::string names() const;
  /// For the user: archives without an end mark.
  std::vector<std::string> notes() const;

 private:
  struct Shard;
  std::vector<Shard> shards_;
};

/// A dataset of the given members, in their order. Its notes are those given, then those of shards.
std::unique_ptr<Dataset> make_tar_dataset(TarShards shards, std::vector<TarShards::Member> members, PathLabels labels,
                                          std::vector<std::string> notes = {});

/// The images of the archives, in the order given and the order inside.
/// Throws IoError as TarShards; DataError if there are no images, if their folders or labels make no classes, or if a
/// class has files and no image.
std::unique_ptr<Dataset> open_tar_shards(const std::vector<std::string>& paths, const SourceOptions& options = {});

}  // namespace vitrail::data
