// FeatureCache: the features of all images of a dataset, computed once by a frozen network and kept in a file. Training
// on top of that network then neither decodes images nor runs the network.
#pragma once

#include "vitrail/core/io/hdf5.h"
#include "vitrail/data/sources/dataset.h"
#include "vitrail/nn/module.h"
#include "vitrail/recipes/build/preprocessing.h"
#include "vitrail/recipes/eval/features.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace vitrail::recipes {

/// What features depend on, as texts that differ if one of them changes.
struct FeatureKey {
  std::string features;       // which of the network's: "block -2, patches"
  std::string weights;        // a hash of names, shapes and values
  std::string preprocessing;  // Preprocessing::text()
  std::string images;         // their number, and a hash of all names and of the contents of 256 at equal distances
  bool operator==(const FeatureKey&) const = default;
};

/// The key of the features that a network gives for these images. features: as FeatureKey::features.
FeatureKey feature_key(const std::string& features, const nn::ModuleBase& network, const Preprocessing& preprocessing,
                       const data::Dataset& images);

/// The features of a frozen network for a dataset, in a file: they are computed once.
class FeatureCache final {
 public:
  /// Opens the file at path. If there is none, makes it first: feature_of, [B, 3, H, W] -> [B, ...], of all that the
  /// loader gives, which are the images in order without random augmentation; broken ones are left out.
  /// Throws ConfigError naming what differs if the file was made from anything else than the key says; IoError for a
  /// damaged file; NumericError for features that are not finite; as the loader, and what tick throws.
  FeatureCache(const std::filesystem::path& path, const FeatureKey& key, int64_t images, const FeatureOf& feature_of,
               const std::function<std::unique_ptr<data::Loader>()>& loader, const Tick& tick);

  /// The number of images, and whether there are features of one: of a broken one there are none.
  int64_t size() const { return int64_t(present_.size()); }
  bool has(int64_t image) const { return present_.at(size_t(image)) != 0; }
  /// [M, ...], of these images, in the network's type. Throws DataError for an image without features.
  Tensor rows(std::span<const int64_t> images) const;

 private:
  std::filesystem::path path_;
  hdf5::Reader file_;
  std::vector<uint8_t> present_;
};

}  // namespace vitrail::recipes
