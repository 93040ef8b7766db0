#include "tools/commands/image_arguments.h"

#include "tools/commands/image_files.h"
#include "tools/commands/model_notes.h"
#include "tools/commands/terminal_progress.h"
#include "vitrail/core/error.h"
#include "vitrail/data/augment/normalize.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/image/resize.h"
#include "vitrail/data/sources/image_folder.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

namespace vitrail::tools {

namespace fs = std::filesystem;

void ImageArguments::add_to(const Command& command) {
  command
      .option("checkpoint", checkpoint,
              "folder of a run, a checkpoint, the folder of a published model, or a .safetensors file")
      .required();
  command.option("images", images, "images and folders of images").required();
  command.option("-o,--out", out, "PNG file to write");
  const std::string usual = enlarge == 1 ? "the recipe's" : "twice the recipe's";
  command.option("--size", size, "shorter side of the model's input; 0: " + usual).range(0, 4096);
  command.option("-n,--count", count, "number of images to take, at most").range(1, 256);
  background.add_to(command);
  published.add_to(command);
  add_positions_option(command, positions);
  add_network_option(command, network);
  skip.add_to(command);
}

recipes::OpenModel ImageArguments::open() const {
  recipes::OpenModel model = open_with_notes(checkpoint, background.changes(), published.options(network));
  resample_positions(checkpoint, model, side(model.preprocessing), positions);
  return model;
}

std::vector<Image> read_images(const std::vector<std::string>& paths, int64_t most, const SkipOption& skip) {
  std::vector<std::string> files;
  for (const std::string& path : paths) add_images(files, path, skip);
  const auto dataset = data::make_file_dataset("", files, {});
  data::BadFiles bad_files = skip.bad_files();
  std::vector<Image> images;
  for (int64_t i = 0; i < dataset->size() && int64_t(images.size()) < most; ++i) {
    try {
      images.push_back({fs::path(files[size_t(i)]).filename().string(), dataset->get(i).image});
    } catch (const IoError& error) {
      bad_files.add(*dataset, i, error.what());
    }
  }
  check<DataError>(!images.empty(), "images", "{}: none of its images can be read", fmt::join(paths, ", "));
  TerminalProgress().report(bad_files);
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
