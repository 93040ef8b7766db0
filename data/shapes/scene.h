// Scene: coloured shapes on a canvas, and its image.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/image/image.h"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace vitrail::data {

inline constexpr int kShapes = 6, kColours = 8;
inline constexpr std::array<std::string_view, kShapes> kShapeNames = {"circle", "square", "triangle",
                                                                      "star",   "cross",  "ring"};
inline constexpr std::array<std::string_view, kShapes> kShapePlurals = {"circles", "squares", "triangles",
                                                                        "stars",   "crosses", "rings"};
inline constexpr std::array<std::string_view, kColours> kColourNames = {"red",    "green",  "blue", "yellow",
                                                                        "orange", "purple", "cyan", "pink"};

/// A colour and a shape together.
struct Look {
  int colour = 0, shape = 0;
  bool operator==(const Look&) const = default;
};
/// Whether no part but `composition` shows that look. A quarter of the looks; two of each shape.
constexpr bool is_held_out(Look look) { return (look.colour - look.shape + kColours) % 4 == 0; }
/// The looks that are held out, or the others.
std::vector<Look> looks(bool held_out);

struct Thing {
  Look look;
  double x = 0, y = 0, radius = 0;  // pixels; y grows downwards
};

struct Scene {
  int64_t side = 0;  // of the canvas in pixels
  std::vector<Thing> things;
  std::array<int, 3> background{};
  int tint = 0;  // moves the colours of things a little; a number below 1000
};

/// A random scene of `count` things with looks from the pool. They do not touch each other. distinct: no two have the
/// same colour or the same shape.
Scene random_scene(int64_t side, int count, const std::vector<Look>& pool, bool distinct, Rng& rng);

/// The image of a scene: filled shapes. A pixel at an edge is mixed by the share of its 4 x 4 points inside the shape.
Image draw_scene(const Scene& scene);

}  // namespace vitrail::data
