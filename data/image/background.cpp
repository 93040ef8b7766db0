#include "vitrail/data/image/background.h"

#include "vitrail/core/error.h"

#include <fmt/format.h>

#include <atomic>
#include <charconv>

namespace vitrail::data {
namespace {

constexpr std::string_view kDrop = "drop";

struct NamedColor {
  std::string_view name;
  uint8_t red, green, blue;
};
constexpr NamedColor kColors[] = {{"white", 255, 255, 255}, {"black", 0, 0, 0},     {"gray", 128, 128, 128},
                                  {"grey", 128, 128, 128},  {"red", 255, 0, 0},     {"green", 0, 128, 0},
                                  {"blue", 0, 0, 255},      {"yellow", 255, 255, 0}};

enum class Note { none, due, told };
std::atomic<Note> transparency_note = Note::none;

/// a / 255, rounded to nearest, for a up to 255 * 255.
int divided(int a) { return (a + 128 + ((a + 128) >> 8)) >> 8; }

}  // namespace

Background Background::parse(std::string_view text) {
  Background result;
  result.named_ = true;
  if (text == kDrop) return result;
  std::string names;
  for (const NamedColor& c : kColors) {
    if (text == c.name) return {c.red, c.green, c.blue};
    names += ", " + std::string(c.name);
  }
  const std::string_view digits = text.starts_with('#') ? text.substr(1) : text;
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  check<ConfigError>(digits.size() == 6 && error == std::errc{} && end == digits.data() + digits.size(), "background",
                     "'{}' is no colour; known are {}{} and '#rrggbb' (quoted, because # begins a comment)", text,
                     kDrop, names);
  return {uint8_t(value >> 16), uint8_t(value >> 8), uint8_t(value)};
}

std::string Background::text() const {
  if (!color_) return std::string(kDrop);
  const auto& [red, green, blue] = *color_;
  return fmt::format("#{:02x}{:02x}{:02x}", red, green, blue);
}

Image Background::under(Image image) const {
  if (image.opacity().empty()) return image;
  if (color_) {
    const auto opacity = image.opacity();
    uint8_t* at = image.data();
    for (const uint8_t weight : opacity)
      for (const uint8_t behind : *color_) {
        *at = uint8_t(divided(*at * weight + behind * (255 - weight)));
        ++at;
      }
  } else if (!named_) {
    Note none = Note::none;
    transparency_note.compare_exchange_strong(none, Note::due);
  }
  image.set_opacity({});
  return image;
}

std::optional<std::string> take_transparency_note() {
  Note due = Note::due;
  if (!transparency_note.compare_exchange_strong(due, Note::told)) return std::nullopt;
  return "some images have transparent pixels, and the colours hidden there are used as they are; "
         "data.background=white lays them on white (commands: --background white), drop keeps them so without this "
         "note";
}

}  // namespace vitrail::data
