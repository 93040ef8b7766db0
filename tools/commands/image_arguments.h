// The arguments of commands that draw what a vision transformer computes from images, and the images themselves.
#pragma once

#include "tools/command_line.h"
#include "tools/commands/background_option.h"
#include "tools/commands/published_arguments.h"
#include "tools/commands/skip_option.h"
#include "vitrail/data/image/image.h"
#include "vitrail/recipes/models/open_model.h"

#include <string>
#include <vector>

namespace vitrail::tools {

struct Image {
  std::string name;  // its file name
  data::Image image;
};

/// The first `most` images at the paths: files, and folders with what is in them at any depth. Prints the names of
/// those that it skipped. Throws DataError for a path that does not exist and for a broken image, unless they are
/// skipped, or if none can be read.
std::vector<Image> read_images(const std::vector<std::string>& paths, int64_t most, const SkipOption& skip);

struct ImageArguments {
  std::string checkpoint, network, positions, out;
  std::vector<std::string> images;
  int64_t size = 0, count = 8;
  int64_t enlarge = 2;  // the usual side is the recipe's times this
  BackgroundOption background;
  PublishedArguments published;
  SkipOption skip;

  void add_to(const Command& command);
  /// As open_with_notes, with the chosen rule of positions. Prints the rule if the image size differs from the model's.
  recipes::OpenModel open() const;
  /// The images, as read_images.
  std::vector<Image> read() const { return read_images(images, count, skip); }
  /// The shorter side of the model's input, in pixels.
  int64_t side(const recipes::Preprocessing& usual) const { return size > 0 ? size : enlarge * usual.img_size(); }
};

/// The shorter side of an image in the drawings, at least.
inline constexpr int64_t kShown = 240;

/// Resizes the shorter side to `shorter`, then crops the centre to whole patches. Throws DataError for an image so long
/// that its drawing would not fit into memory.
data::Image fit_to_patches(const data::Image& image, int64_t shorter, int64_t patch_size);

/// The image, normalised as the model's input but of its own size: [1, 3, H, W].
Tensor to_input(const data::Image& image, const recipes::Preprocessing& preprocessing);

/// Enlarges by a whole factor until the shorter side is at least `side`.
data::Image enlarged(const data::Image& image, int64_t side);

}  // namespace vitrail::tools
