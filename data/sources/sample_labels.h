// Labels in files beside the images of an archive, as WebDataset has them: x.cls or x.json beside x.jpg.
#pragma once

#include "vitrail/data/sources/path_labels.h"
#include "vitrail/data/sources/tar_shards.h"

#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace vitrail::data {

/// The key of a sample: the name up to the first dot behind the last slash ("a/1" of "a/1.seg.png").
std::string_view key_of(std::string_view name);

/// The text of a file without blanks at its ends.
std::string_view trimmed_text(std::span<const std::byte> file);

/// The files of one kind that belong to images: of the same archive and the same name up to the last dot, or else the
/// only one with the key of an image that is alone with it.
class Sidecars final {
 public:
  /// ending: of the files, in lower case with its dot. members outlives this.
  Sidecars(const std::vector<TarShards::Member>& members, std::string_view ending);

  /// The file of an image, or null.
  const TarShards::Member* of(const TarShards::Member& image) const;

 private:
  struct Sample {
    int64_t images = 0, files = 0;
    const TarShards::Member* file = nullptr;
  };
  using Place = std::pair<size_t, std::string_view>;  // an archive, and a name without its ending or a key
  std::map<Place, const TarShards::Member*> by_name_;
  std::map<Place, Sample> by_key_;
};

/// Labels from .cls files (a number or a name), or from the members label, cls, class or class_name of .json files.
/// Nothing if no image has one. options.classes are the names by number.
/// Throws DataError naming an image without a label, or a label that cannot be read, is not among options.classes, or
/// is a name where others are numbers.
std::optional<PathLabels> labels_from_samples(const TarShards& shards, const std::vector<TarShards::Member>& members,
                                              const SourceOptions& options);

}  // namespace vitrail::data
