// Preprocessing: how an image becomes the input of a model that is evaluated.
#pragma once

#include "vitrail/core/tensor.h"
#include "vitrail/data/augment/center_crop.h"
#include "vitrail/data/augment/image_transform.h"
#include "vitrail/data/image/background.h"
#include "vitrail/nn/weights/layout.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

class JsonObject;

struct Preprocessing {
  enum class Resize { none, shorter, exact };  // exact: to a square, ignoring the proportions

  bool pad = false;  // first to a square, on the mean colour
  Resize resize = Resize::shorter;
  int64_t size = 256;  // shorter side after resizing; exact: both sides
  data::Filter filter = data::Filter::bicubic;
  int64_t crop = 224;  // side of the central crop; 0: no crop
  data::CropOffset crop_offset = data::CropOffset::half_even;
  data::Normalize::Channels mean = data::kImageNetMean, std = data::kImageNetStd;
  data::Background background{};  // behind transparent pixels

  /// The side of the model's input.
  int64_t img_size() const { return crop > 0 ? crop : size; }
  /// Resizing, cropping and normalising: an image of any size -> [3, img_size(), img_size()].
  data::ImageTransform transform() const;
  /// The model's input: f32 [B, 3, img_size(), img_size()].
  /// Throws ShapeError if an image does not come out at that size.
  Tensor batch(std::span<const data::Image> images) const;
  /// "shorter side to 256 (bicubic), the central 224x224, mean 0.485 0.456 0.406, std ..."; with the background first,
  /// if one was named, then "on a square of the mean colour" if it pads.
  std::string text() const;
  bool operator==(const Preprocessing&) const = default;
};

/// The published preprocessing of a layout's models, for images of that side.
Preprocessing published_preprocessing(const nn::Layout& layout, int64_t img_size);

/// Reads a preprocessor_config.json of Hugging Face for models of that layout. Missing values are those of
/// published_preprocessing. name: of the file, for messages. accepted: keys to pass over.
/// Throws IoError for a value of another type, for unknown steps and for unknown keys.
Preprocessing parse_preprocessor(std::string_view json, const std::string& name, const nn::Layout& layout,
                                 const std::vector<std::string>& accepted = {});
/// The same for an object in a file, such as "image_processor" in processor_config.json.
Preprocessing parse_preprocessor(const JsonObject& config, const nn::Layout& layout);
/// The filter that a key names: "bicubic", "Resampling.BICUBIC", or Pillow's number.
data::Filter parse_filter(const JsonObject& config, const char* key, data::Filter otherwise);
/// The inverse.
std::string to_preprocessor_json(const Preprocessing& preprocessing, const nn::Layout& layout);

}  // namespace vitrail::recipes
