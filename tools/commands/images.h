// Images from a file or a folder, made ready for a transformer.
#pragma once

#include "vitrail/data/image/image.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/models/trained_model.h"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace vitrail::tools {

struct Image {
  std::string name;  // of the file
  data::Image image;
};

/// The arguments of commands that draw what a transformer makes of images.
struct ImageArguments {
  std::string checkpoint, images, out;
  int64_t size = 0, count = 8;

  void add_to(CLI::App& command);
  /// The shorter side that the model sees.
  int64_t side(const recipes::DataConfig& data) const { return size > 0 ? size : 2 * data.img_size; }
};
/// The smallest side of an image on their sheets.
inline constexpr int64_t kShown = 240;

/// An image, or the first `most` of a folder, at any depth. Throws DataError or IoError.
std::vector<Image> read_images(const std::filesystem::path& path, int64_t most);

/// The model as a transformer. Throws ConfigError naming the command if it is none.
nn::VisionTransformer& transformer_of(const recipes::TrainedModel& trained, const char* command);

/// The image with its shorter side resized to `shorter`, then cut, centred, to whole patches.
data::Image fit_to_patches(const data::Image& image, int64_t shorter, int64_t patch_size);

/// Normalised as the data section says: [1, 3, H, W].
Tensor to_input(const data::Image& image, const recipes::DataConfig& config);

/// Enlarged by whole pixels until the shorter side has at least that many.
data::Image enlarged(const data::Image& image, int64_t side);

}  // namespace vitrail::tools
