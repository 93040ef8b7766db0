#include "tools/commands/image_arguments.h"

#include "vitrail/core/error.h"
#include "vitrail/data/augment/normalize.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/image/resize.h"
#include "vitrail/data/sources/image_folder.h"

#include <algorithm>

namespace vitrail::tools {

namespace fs = std::filesystem;

void ImageArguments::add_to(const Command& command) {
  command
      .option("checkpoint", checkpoint,
              "folder of a run, a checkpoint, the folder of a published model, or a .safetensors file")
      .required();
  command.option("images", images, "image or folder of images").required();
  command.option("-o,--out", out, "PNG file to write");
  command.option("--size", size, "shorter side of the model's input; 0: twice the recipe's").range(0, 4096);
  command.option("-n,--count", count, "number of images to take from a folder").range(1, 256);
  background.add_to(command);
}

std::vector<Image> read_images(const fs::path& path, int64_t most) {
  check<DataError>(fs::exists(path), "images", "{}: no such file or folder", path.string());
  if (!fs::is_directory(path)) return {{path.filename().string(), data::read_image(path)}};
  const auto folder = data::open_image_folder(path.string(), {.labelled = false});
  std::vector<Image> images;
  for (int64_t i = 0; i < std::min(most, folder->size()); ++i)
    images.push_back({fs::path(folder->name(i)).filename().string(), folder->get(i).image});
  return images;
}

data::Image fit_to_patches(const data::Image& image, int64_t shorter, int64_t patch_size) {
  constexpr int64_t kMostPixels = int64_t{1} << 26;
  const data::ImageSize drawn = data::resize_shorter(image.size(), std::max({shorter, patch_size, kShown}));
  check<DataError>(drawn.height <= kMostPixels / drawn.width, "images",
                   "an image of {} would be drawn at {}; crop it, or give a smaller --size", image.size(), drawn);
  const data::ImageSize size = data::resize_shorter(image.size(), std::max(shorter, patch_size));
  const int64_t height = size.height / patch_size * patch_size, width = size.width / patch_size * patch_size;
  const data::Box box{(size.height - height) / 2, (size.width - width) / 2, height, width};
  return data::resize_and_crop(image, size, box, data::Filter::bicubic);
}

Tensor to_input(const data::Image& image, const recipes::Preprocessing& preprocessing) {
  Tensor input = Tensor::empty({1, 3, image.height(), image.width()});
  data::Normalize(preprocessing.mean, preprocessing.std)(image, input.span<float>());
  return input;
}

data::Image enlarged(const data::Image& image, int64_t side) {
  const int64_t shorter = std::min(image.height(), image.width()), factor = (side + shorter - 1) / shorter;
  if (factor <= 1) return image;
  return data::resize(image, {image.height() * factor, image.width() * factor}, data::Filter::nearest);
}

}  // namespace vitrail::tools
