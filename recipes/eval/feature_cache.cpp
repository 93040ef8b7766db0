#include "vitrail/recipes/eval/feature_cache.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/rng.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/eval/finite.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace vitrail::recipes {
namespace {

uint64_t mixed(uint64_t hash, std::string_view bytes) { return Rng::combine(hash, stream_id(bytes)); }

template <class Bytes>
std::string_view text_of_bytes(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string hex(uint64_t hash) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

std::string hash_of_weights(const nn::ModuleBase& network) {
  uint64_t hash = 0;
  for (const auto& [name, value] : nn::state(network)) {
    const Tensor dense = value.contiguous();
    hash = mixed(mixed(mixed(hash, name), to_string(dense.shape()) + to_string(dense.dtype())),
                 {reinterpret_cast<const char*>(dense.raw()), size_t(dense.nbytes())});
  }
  return hex(hash);
}

std::string hash_of_images(const data::Dataset& images) {
  constexpr int64_t kRead = 256;
  const int64_t count = images.size(), step = std::max<int64_t>((count + kRead - 1) / kRead, 1);
  uint64_t hash = 0;
  for (int64_t i = 0; i < count; ++i) hash = mixed(hash, images.name(i));
  for (int64_t i = 0; i < count; i += step) {
    try {
      const data::Bytes file = images.encoded(i);
      hash = file.empty() ? mixed(hash, text_of_bytes(images.get(i).image.pixels())) : mixed(hash, text_of_bytes(file));
    } catch (const IoError&) {  // a broken image has no features either
      hash = mixed(hash, "broken");
    }
  }
  return std::to_string(count) + " " + hex(hash);
}

/// The parts of a key with the names that they have in a file.
std::vector<std::pair<const char*, const std::string*>> key_parts(const FeatureKey& key) {
  return {{"features", &key.features},
          {"weights", &key.weights},
          {"preprocessing", &key.preprocessing},
          {"images", &key.images}};
}

void make_cache(const std::filesystem::path& path, const FeatureKey& key, int64_t images, const FeatureOf& feature_of,
                data::Loader& loader, const Tick& tick) {
  hdf5::save(path, [&](hdf5::Writer& file) {
    Tensor present = zeros({images}, DType::u8);
    int64_t done = 0;
    while (const auto batch = loader.next()) {
      const Tensor features = feature_of((*batch)["images"]).contiguous();
      expect_finite(features.to(DType::f32), "cache_features",
                    [&](int64_t i) { return "image " + std::to_string(batch->indices[size_t(i)]); });
      if (done == 0) file.create("features", features.shape().without(0).insert(0, images), features.dtype());
      for (int64_t i = 0; i < batch->size(); ++i) {
        const int64_t image = batch->indices[size_t(i)];
        file.write_rows("features", image, features.slice(0, i, i + 1));
        present.data<uint8_t>()[image] = 1;
      }
      tick(++done, loader.batches_per_epoch());
    }
    check<DataError>(done > 0, "cache_features", "no image is left: all are broken");
    file.write("present", present);
    for (const auto& [name, text] : key_parts(key)) file.attribute("features", name, *text);
  });
}

hdf5::Reader open_cache(const std::filesystem::path& path, const FeatureKey& key) {
  hdf5::Reader file = hdf5::open_sealed(path);
  check<IoError>(file.contains("features") && file.contains("present"), "cache_features",
                 "{} holds no cached features; name another file", path.string());
  for (const auto& [name, now] : key_parts(key)) {
    const std::string then =
        file.has_attribute("features", name) ? file.attribute<std::string>("features", name) : std::string();
    check<ConfigError>(then == *now, "cache_features",
                       "{} was made with other {}: '{}', now '{}'; remove the file, or name another one", path.string(),
                       name, then, *now);
  }
  return file;
}

}  // namespace

FeatureKey feature_key(const std::string& features, const nn::ModuleBase& network, const Preprocessing& preprocessing,
                       const data::Dataset& images) {
  return {features, hash_of_weights(network), preprocessing.text(), hash_of_images(images)};
}

FeatureCache::FeatureCache(const std::filesystem::path& path, const FeatureKey& key, int64_t images,
                           const FeatureOf& feature_of, const std::function<std::unique_ptr<data::Loader>()>& loader,
                           const Tick& tick)
    : path_(path), file_([&] {
        if (!std::filesystem::exists(path)) make_cache(path, key, images, feature_of, *loader(), tick);
        return open_cache(path, key);
      }()) {
  const Tensor present = file_.read("present");
  const auto flags = present.span<uint8_t>();
  present_.assign(flags.begin(), flags.end());
  check<IoError>(size() == images && file_.shape("features")[0] == images, "cache_features",
                 "{} has features of {} images; there are {}", path.string(), size(), images);
}

Tensor FeatureCache::rows(std::span<const int64_t> images) const {
  std::vector<Tensor> rows;
  for (const int64_t image : images) {
    check<DataError>(image >= 0 && image < size() && has(image), "cache_features", "{} has no features of image {}",
                     path_.string(), image);
    rows.push_back(file_.read_rows("features", image, image + 1));
  }
  if (rows.empty()) return Tensor::empty(file_.shape("features").without(0).insert(0, 0), file_.dtype("features"));
  return core::concat(rows, 0);
}

}  // namespace vitrail::recipes
