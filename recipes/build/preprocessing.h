// Preprocessing: what an image goes through before a published model sees it.
#pragma once

#include "vitrail/core/tensor.h"
#include "vitrail/data/augment/center_crop.h"
#include "vitrail/data/augment/image_transform.h"
#include "vitrail/nn/weights/layout.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace vitrail::recipes {

struct DataConfig;

struct Preprocessing {
  enum class Resize { none, shorter, exact };  // exact: to a square, whatever the image's proportions

  Resize resize = Resize::shorter;
  int64_t size = 256;  // of the shorter side, or of both
  data::Filter filter = data::Filter::bicubic;
  int64_t crop = 224;  // side of the central square that is cut out; 0: none
  data::CropOffset crop_offset = data::CropOffset::half_even;
  data::Normalize::Channels mean = data::kImageNetMean, std = data::kImageNetStd;

  /// The side of the square that the model gets.
  int64_t img_size() const { return crop > 0 ? crop : size; }
  data::ImageTransform transform() const;
  /// The images as the model takes them: f32 [B, 3, img_size(), img_size()].
  /// Throws ShapeError if one does not come out at that size.
  Tensor batch(std::span<const data::Image> images) const;
  /// "shorter side to 256 (bicubic), the central 224x224, mean 0.485 0.456 0.406, std ..."
  std::string text() const;
  bool operator==(const Preprocessing&) const = default;
};

/// What the models of a layout were published with, for images of that side.
Preprocessing published_preprocessing(const nn::Layout& layout, int64_t img_size);
/// As a model of a recipe is evaluated.
Preprocessing recipe_preprocessing(const DataConfig& config);

/// A preprocessor_config.json of Hugging Face for models of that layout; what it does not say is as
/// published_preprocessing has it. name stands for the file in messages.
/// Throws IoError for a value of another type, and for steps that are not known here.
Preprocessing parse_preprocessor(std::string_view json, const std::string& name, const nn::Layout& layout);
/// The other way round.
std::string to_preprocessor_json(const Preprocessing& preprocessing, const nn::Layout& layout);

}  // namespace vitrail::recipes
