// Dataset: numbered images with class labels, wherever they are stored. Each format beside this file (folders, tar
// shards, CIFAR, IDX, HDF5) has one function that makes a Dataset. open_dataset.h finds the right one for a path.
#pragma once

#include "vitrail/data/image/image.h"
#include "vitrail/data/io/bytes.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace vitrail::data {

/// The label of every image of an unlabelled dataset.
inline constexpr int64_t kNoLabel = -1;

struct Sample {
  Image image;
  int64_t label = kNoLabel;
};

/// Images 0..size()-1, in an order that depends on the data alone.
///
/// Thread: every member may be called from several threads at once.
class Dataset {
 public:
  virtual ~Dataset() = default;

  /// The number of images.
  virtual int64_t size() const = 0;
  /// Names by label; empty if the dataset is unlabelled.
  virtual const std::vector<std::string>& classes() const = 0;
  /// Does not read the image.
  virtual int64_t label(int64_t index) const = 0;
  /// Throws IoError if the image cannot be read or decoded.
  virtual Sample get(int64_t index) const = 0;
  /// Where the image is stored, for messages: a path, "shard.tar/member", "file.bin[17]".
  virtual std::string name(int64_t index) const = 0;
  /// The bytes of the image's file (JPEG, PNG, BMP or WebP); empty if the source stores plain pixels.
  virtual Bytes encoded(int64_t) const { return {}; }
  /// For the user: what was passed over when the dataset was opened, and the like. Each names its place.
  virtual std::vector<std::string> notes() const { return {}; }
};

/// Options of every source.
struct SourceOptions {
  bool labelled = true;                // false: folders are not classes, and labels are not read
  bool follow_symlinks = false;        // in image folders, and from tables to images
  std::vector<std::string> classes{};  // label order; empty: the order of the source, or sorted by the names' bytes
};

}  // namespace vitrail::data
