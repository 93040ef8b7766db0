#include "tests/data/reference_images.h"

#include "tests/support/reference.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace vitrail::test {

std::vector<std::string> AugmentFile::cases(const std::string& group) const {
  std::vector<std::string> paths = reader_.names(group);
  for (std::string& name : paths) name = group + "/" + name;
  REQUIRE(!paths.empty());
  return paths;
}

data::Image AugmentFile::image(const std::string& path) const {
  const Tensor pixels = reader_.read(path);  // [H, W, 3]
  data::Image image(pixels.size(0), pixels.size(1));
  std::copy_n(pixels.data<uint8_t>(), pixels.numel(), image.data());
  return image;
}

data::Image AugmentFile::input(const std::string& path) const {
  return image("images/" + reader_.attribute<std::string>(path, "image"));
}

std::optional<AugmentFile> open_augment_file() {
  const auto path = reference_path("augment.h5");
  if (!path) return std::nullopt;
  return std::optional<AugmentFile>(std::in_place, *path);
}

}  // namespace vitrail::test
