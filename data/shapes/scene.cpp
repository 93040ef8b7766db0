#include "vitrail/data/shapes/scene.h"

#include <algorithm>
#include <cmath>

namespace vitrail::data {
namespace {

constexpr int kPaint[kColours][3] = {{214, 38, 40},  {44, 160, 60},  {48, 84, 214},  {236, 214, 48},
                                     {240, 132, 24}, {132, 60, 176}, {48, 196, 216}, {244, 150, 196}};

/// A star with five points of radius 1, its tip up: x and y of the corners in turn.
constexpr double kStar[10][2] = {{0, -1},
                                 {0.2245139883, -0.3090169944},
                                 {0.9510565163, -0.3090169944},
                                 {0.3632712640, 0.1180339887},
                                 {0.5877852523, 0.8090169944},
                                 {0, 0.3819660113},
                                 {-0.5877852523, 0.8090169944},
                                 {-0.3632712640, 0.1180339887},
                                 {-0.9510565163, -0.3090169944},
                                 {-0.2245139883, -0.3090169944}};

bool in_star(double x, double y) {
  bool inside = false;
  for (int i = 0, j = 9; i < 10; j = i++) {
    const double *a = kStar[i], *b = kStar[j];
    if ((a[1] > y) != (b[1] > y) && x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0]) inside = !inside;
  }
  return inside;
}

/// Whether a point is in the shape of radius 1 around 0.
bool is_inside(int shape, double x, double y) {
  const double square = x * x + y * y;
  switch (shape) {
    case 0:  // circle
      return square <= 1;
    case 1:  // square
      return std::abs(x) <= 0.85 && std::abs(y) <= 0.85;
    case 2:  // triangle
      return y <= 0.8 && std::abs(x) <= 0.55 * (y + 1);
    case 3:
      return in_star(x, y);
    case 4:  // cross
      return std::max(std::abs(x), std::abs(y)) <= 0.95 && std::min(std::abs(x), std::abs(y)) <= 0.3;
    default:  // ring
      return square <= 1 && square >= 0.3;
  }
}

/// As Rng::uniform(low, high), but compiled here, where no product is fused with a sum: the same bytes on any machine.
double random_between(double low, double high, Rng& rng) { return low + (high - low) * rng.uniform(); }

/// Radii in shares of the side: fewer things are larger.
double random_radius(int64_t side, int count, Rng& rng) {
  const double largest = count == 1 ? 0.25 : count == 2 ? 0.18 : 0.125;
  return double(side) * largest * random_between(0.65, 1, rng);
}

/// False if there is no room for one of the things.
bool place_things(Scene& scene, Rng& rng) {
  constexpr int kTries = 100;
  const double gap = 0.03 * double(scene.side);
  for (size_t i = 0; i < scene.things.size(); ++i) {
    Thing& thing = scene.things[i];
    const double low = thing.radius + 1, high = double(scene.side) - thing.radius - 1;
    int tries = 0;
    const auto touches = [&](const Thing& other) {
      const double dx = thing.x - other.x, dy = thing.y - other.y, reach = thing.radius + other.radius + gap;
      return dx * dx + dy * dy < reach * reach;
    };
    do {
      if (tries++ == kTries) return false;
      thing.x = random_between(low, high, rng);
      thing.y = random_between(low, high, rng);
    } while (std::any_of(scene.things.begin(), scene.things.begin() + int64_t(i), touches));
  }
  return true;
}

bool share_a_name(const std::vector<Thing>& things, Look look) {
  return std::any_of(things.begin(), things.end(), [&](const Thing& thing) {
    return thing.look.colour == look.colour || thing.look.shape == look.shape;
  });
}

}  // namespace

std::vector<Look> looks(bool held_out) {
  std::vector<Look> out;
  for (int colour = 0; colour < kColours; ++colour)
    for (int shape = 0; shape < kShapes; ++shape)
      if (is_held_out({colour, shape}) == held_out) out.push_back({colour, shape});
  return out;
}

Scene random_scene(int64_t side, int count, const std::vector<Look>& pool, bool distinct, Rng& rng) {
  Scene scene;
  do {
    scene = {};
    scene.side = side;
    const int grey = int(rng.bernoulli(0.5) ? rng.below(50) : 206 + rng.below(50));
    for (int& channel : scene.background) channel = std::clamp(grey + int(rng.below(17)) - 8, 0, 255);
    scene.tint = int(rng.below(1000));
    while (int(scene.things.size()) < count) {
      const Look look = pool[size_t(rng.below(int64_t(pool.size())))];
      if (distinct && share_a_name(scene.things, look)) continue;
      scene.things.push_back({look, 0, 0, random_radius(side, count, rng)});
    }
  } while (!place_things(scene, rng));
  return scene;
}

namespace {

constexpr int kPoints = 4;                     // of a pixel, in a row
constexpr int kAllPoints = kPoints * kPoints;  // of a pixel

/// How many points of the pixel at x, y are in the thing. If its four outermost points agree, all of them do.
int points_inside(const Thing& thing, int64_t x, int64_t y) {
  const auto inside = [&](int column, int row) {
    const double px = double(x) + (column + 0.5) / kPoints, py = double(y) + (row + 0.5) / kPoints;
    return int(is_inside(thing.look.shape, (px - thing.x) / thing.radius, (py - thing.y) / thing.radius));
  };
  constexpr int kLast = kPoints - 1;
  const int corners = inside(0, 0) + inside(kLast, 0) + inside(0, kLast) + inside(kLast, kLast);
  if (corners % 4 == 0) return corners * kAllPoints / 4;
  int count = 0;
  for (int p = 0; p < kAllPoints; ++p) count += inside(p % kPoints, p / kPoints);
  return count;
}

void draw_thing(Image& image, const Thing& thing, int tint) {
  int ink[3];
  for (int c = 0; c < 3; ++c, tint /= 10) ink[c] = std::clamp(kPaint[thing.look.colour][c] + tint % 10 * 2 - 9, 0, 255);
  const auto first = [](double v) { return std::max(int64_t(v) - 1, int64_t{0}); };
  const auto last = [&](double v) { return std::min(int64_t(v) + 2, image.width()); };
  for (int64_t y = first(thing.y - thing.radius); y < last(thing.y + thing.radius); ++y) {
    for (int64_t x = first(thing.x - thing.radius); x < last(thing.x + thing.radius); ++x) {
      const int covered = points_inside(thing, x, y);
      uint8_t* pixel = image.at(y, x);
      for (int c = 0; c < 3; ++c)
        pixel[c] = uint8_t((pixel[c] * (kAllPoints - covered) + ink[c] * covered + kAllPoints / 2) / kAllPoints);
    }
  }
}

}  // namespace

Image draw_scene(const Scene& scene) {
  Image image(scene.side, scene.side);
  for (size_t i = 0; i < image.pixels().size(); ++i) image.data()[i] = uint8_t(scene.background[i % 3]);
  for (size_t i = 0; i < scene.things.size(); ++i) draw_thing(image, scene.things[i], scene.tint + 7 * int(i));
  return image;
}

}  // namespace vitrail::data
