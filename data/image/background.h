// Background: the colour behind transparent pixels.
#pragma once

#include "vitrail/data/image/image.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vitrail::data {

/// A colour, or "drop": the colours of transparent pixels count as if they were opaque, as in Pillow's convert("RGB")
/// and in Hugging Face's image processors. Nobody having named either is also "drop", and noted: see
/// take_transparency_note().
class Background final {
 public:
  Background() = default;
  Background(uint8_t red, uint8_t green, uint8_t blue) : named_(true), color_({red, green, blue}) {}
  /// "drop", "#rrggbb", "rrggbb", or a name as CSS has it: white, black, gray and some more. Throws ConfigError for
  /// another text.
  static Background parse(std::string_view text);

  /// Whether somebody chose it.
  bool named() const { return named_; }
  /// "drop" or "#rrggbb".
  std::string text() const;
  /// The opaque image: each byte is the mean of image and background by opacity, rounded to nearest.
  Image under(Image image) const;

  bool operator==(const Background&) const = default;

 private:
  bool named_ = false;
  std::optional<std::array<uint8_t, 3>> color_;  // nothing: drop
};

/// What to tell the user once images with transparent pixels met a background that nobody had named. The whole process
/// has one such note, because threads of any loader meet them; it is returned once.
std::optional<std::string> take_transparency_note();

}  // namespace vitrail::data
