#include "vitrail/data/shapes/questions.h"

#include "vitrail/core/error.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <utility>

namespace vitrail::data {
namespace {

constexpr std::array<std::string_view, 7> kNumbers = {"zero", "one", "two", "three", "four", "five", "six"};
constexpr std::array<std::string_view, 4> kSides = {"left", "right", "above", "below"};
constexpr std::array<std::string_view, 4> kEdges = {"left", "right", "top", "bottom"};

std::string with_article(std::string_view words) {
  return (std::string_view("aeiou").find(words[0]) == words.npos ? "a " : "an ") + std::string(words);
}
std::string colour_name(int colour) { return std::string(kColourNames[size_t(colour)]); }
std::string shape_name(int shape) { return std::string(kShapeNames[size_t(shape)]); }
std::string look_name(Look look) { return colour_name(look.colour) + " " + shape_name(look.shape); }

/// What a question counts: all things of a colour, or all of a shape.
struct Property {
  bool colour = false;
  int value = 0;

  bool holds(const Thing& thing) const { return (colour ? thing.look.colour : thing.look.shape) == value; }
  int count(const Scene& scene) const {
    return int(std::count_if(scene.things.begin(), scene.things.end(), [&](const Thing& t) { return holds(t); }));
  }
  std::string plural() const {
    return colour ? colour_name(value) + " shapes" : std::string(kShapePlurals[size_t(value)]);
  }
};

std::vector<Property> properties(bool colour) {
  std::vector<Property> out(size_t(colour ? kColours : kShapes));
  for (size_t value = 0; value < out.size(); ++value) out[value] = {colour, int(value)};
  return out;
}

template <class T>
const T& pick(const std::vector<T>& from, Rng& rng) {
  return from[size_t(rng.below(int64_t(from.size())))];
}

/// In random order.
template <class T>
std::vector<T> shuffled_list(const std::vector<T>& from, Rng& rng) {
  std::vector<T> out;
  for (const int64_t i : rng.permutation(int64_t(from.size()))) out.push_back(from[size_t(i)]);
  return out;
}

/// The words and the answer of a question, as far as the scene gives them.
struct Draft {
  std::vector<std::string> words;  // in the places {a}, {b}, {c}, ...
  std::string answer;
};

/// Asks about a scene so that the answer is number `wanted` of the form's answers. Nothing if the scene allows no such
/// question.
using Ask = std::optional<Draft> (*)(const Scene& scene, int wanted, bool flag, const std::vector<Look>& pool,
                                     Rng& rng);

std::vector<int> unique_shapes(const Scene& scene) {
  std::vector<int> out;
  for (const Property& shape : properties(false))
    if (shape.count(scene) == 1) out.push_back(shape.value);
  return out;
}

const Thing& thing_of(const Scene& scene, int shape) {
  return *std::find_if(scene.things.begin(), scene.things.end(),
                       [&](const Thing& thing) { return thing.look.shape == shape; });
}

bool shows(const Scene& scene, Look look) {
  return std::any_of(scene.things.begin(), scene.things.end(), [&](const Thing& thing) { return thing.look == look; });
}

/// Number 0 is yes. Looks that are not there differ from a thing in the colour or in the shape alone.
std::optional<Draft> ask_existence(const Scene& scene, int wanted, bool flag, const std::vector<Look>& pool, Rng& rng) {
  const Look there = pick(scene.things, rng).look;
  if (wanted == 0) return Draft{{with_article(look_name(there))}, "yes"};
  std::vector<Look> others;
  for (const Look look : pool)
    if ((flag ? look.colour == there.colour : look.shape == there.shape) && !shows(scene, look)) others.push_back(look);
  if (others.empty()) return std::nullopt;
  return Draft{{with_article(look_name(pick(others, rng)))}, "no"};
}

std::optional<Draft> ask_colour(const Scene& scene, int, bool, const std::vector<Look>&, Rng& rng) {
  const std::vector<int> shapes = unique_shapes(scene);
  if (shapes.empty()) return std::nullopt;
  const int shape = pick(shapes, rng);
  return Draft{{shape_name(shape)}, colour_name(thing_of(scene, shape).look.colour)};
}

std::optional<Draft> ask_shape(const Scene& scene, int, bool, const std::vector<Look>&, Rng& rng) {
  const Look look = pick(scene.things, rng).look;  // of scenes without two things of a colour
  return Draft{{colour_name(look.colour)}, shape_name(look.shape)};
}

std::string corner_name(const Scene& scene, const Thing& thing) {
  const double middle = double(scene.side) / 2;
  return std::string(thing.y < middle ? "top" : "bottom") + (thing.x < middle ? " left" : " right");
}

/// The canvas has no middle: a thing near it gives no question.
std::optional<Draft> ask_corner(const Scene& scene, int, bool, const std::vector<Look>&, Rng&) {
  const Thing& thing = scene.things[0];
  const double middle = double(scene.side) / 2, clear = 0.08 * double(scene.side);
  if (std::abs(thing.x - middle) < clear || std::abs(thing.y - middle) < clear) return std::nullopt;
  return Draft{{shape_name(thing.look.shape)}, corner_name(scene, thing)};
}

/// On which side of b thing a lies: a number in kSides. Nothing if it lies in between.
std::optional<int> side_of(const Scene& scene, const Thing& a, const Thing& b) {
  const double dx = a.x - b.x, dy = a.y - b.y, clear = 0.12 * double(scene.side);
  if (std::abs(std::abs(dx) - std::abs(dy)) < clear) return std::nullopt;
  if (std::abs(dx) > std::abs(dy)) return dx < 0 ? 0 : 1;
  return dy < 0 ? 2 : 3;
}

std::optional<Draft> ask_side(const Scene& scene, int, bool flag, const std::vector<Look>&, Rng&) {
  const Thing &a = scene.things[flag ? 0 : 1], &b = scene.things[flag ? 1 : 0];
  const std::optional<int> side = side_of(scene, a, b);
  if (!side) return std::nullopt;
  return Draft{{shape_name(a.look.shape), shape_name(b.look.shape)}, std::string(kSides[size_t(*side)])};
}

std::optional<Draft> ask_count(const Scene& scene, int wanted, bool flag, const std::vector<Look>&, Rng& rng) {
  std::vector<Property> fitting = properties(flag);
  std::erase_if(fitting, [&](const Property& property) { return property.count(scene) != wanted; });
  if (fitting.empty()) return std::nullopt;
  return Draft{{pick(fitting, rng).plural()}, std::string(kNumbers[size_t(wanted)])};
}

/// Things of one colour or another.
std::optional<Draft> ask_either(const Scene& scene, int wanted, bool, const std::vector<Look>&, Rng& rng) {
  std::vector<std::pair<Property, Property>> fitting;
  for (const Property& a : properties(true))
    for (const Property& b : properties(true))
      if (a.value != b.value && a.count(scene) + b.count(scene) == wanted) fitting.emplace_back(a, b);
  if (fitting.empty()) return std::nullopt;
  const auto& [a, b] = pick(fitting, rng);
  return Draft{{colour_name(a.value), colour_name(b.value)}, std::string(kNumbers[size_t(wanted)])};
}

/// Number 0: more, 1: fewer, 2: as many. At least one of the two is there.
std::optional<Draft> ask_more(const Scene& scene, int wanted, bool flag, const std::vector<Look>&, Rng& rng) {
  std::vector<std::pair<Property, Property>> fitting;
  for (const Property& a : properties(flag)) {
    for (const Property& b : properties(flag)) {
      const int first = a.count(scene), second = b.count(scene), order = first > second ? 0 : first < second ? 1 : 2;
      if (a.value != b.value && first + second > 0 && order == wanted) fitting.emplace_back(a, b);
    }
  }
  if (fitting.empty()) return std::nullopt;
  const auto& [a, b] = pick(fitting, rng);
  constexpr std::string_view kAnswers[] = {"more", "fewer", "equal"};
  return Draft{{a.plural(), b.plural()}, std::string(kAnswers[wanted])};
}

/// Three kinds of shapes, of one of which there are most.
std::optional<Draft> ask_most(const Scene& scene, int, bool, const std::vector<Look>&, Rng& rng) {
  const std::vector<Property> order = shuffled_list(properties(false), rng);
  const std::vector<Property> three(order.begin(), order.begin() + 3);
  const auto most = std::max_element(three.begin(), three.end(), [&](const Property& a, const Property& b) {
    return a.count(scene) < b.count(scene);
  });
  const auto ties = std::count_if(three.begin(), three.end(),
                                  [&](const Property& p) { return p.count(scene) == most->count(scene); });
  if (ties > 1) return std::nullopt;
  return Draft{{three[0].plural(), three[1].plural(), three[2].plural()}, most->plural()};
}

/// Whether thing a lies on that side of b, clearly; nothing if it is not clear.
std::optional<bool> lies(const Scene& scene, const Thing& a, const Thing& b, int side) {
  const double along = side < 2 ? a.x - b.x : a.y - b.y, clear = 0.05 * double(scene.side);
  if (std::abs(along) < clear) return std::nullopt;
  return (along < 0) == (side % 2 == 0);
}

/// Number 0: thing a is on one side of b and on another side of c; 1: not both.
std::optional<Draft> ask_both(const Scene& scene, int wanted, bool, const std::vector<Look>&, Rng& rng) {
  const std::vector<int> shapes = shuffled_list(unique_shapes(scene), rng);
  if (shapes.size() < 3) return std::nullopt;
  const int across = int(rng.below(2)), along = 2 + int(rng.below(2));
  const Thing& a = thing_of(scene, shapes[0]);
  const std::optional<bool> first = lies(scene, a, thing_of(scene, shapes[1]), across);
  const std::optional<bool> second = lies(scene, a, thing_of(scene, shapes[2]), along);
  if (!first || !second || (*first && *second) != (wanted == 0)) return std::nullopt;
  const auto words = [](int side) { return std::string(kSides[size_t(side)]) + (side < 2 ? " of" : ""); };
  return Draft{{shape_name(shapes[0]), words(across), shape_name(shapes[1]), words(along), shape_name(shapes[2])},
               wanted == 0 ? "yes" : "no"};
}

/// The colour of the thing that is nearest to one edge of the canvas.
std::optional<Draft> ask_furthest(const Scene& scene, int, bool, const std::vector<Look>&, Rng& rng) {
  const int edge = int(rng.below(4));
  const auto distance = [&](const Thing& thing) {
    const double place = edge < 2 ? thing.x : thing.y;
    return edge % 2 == 0 ? place : double(scene.side) - place;
  };
  std::vector<Thing> things = scene.things;
  std::sort(things.begin(), things.end(), [&](const Thing& a, const Thing& b) { return distance(a) < distance(b); });
  if (distance(things[1]) - distance(things[0]) < 0.05 * double(scene.side)) return std::nullopt;
  return Draft{{std::string(kEdges[size_t(edge)])}, colour_name(things[0].look.colour)};
}

/// A kind of question. The last wording is the one that is held out. It has no word that the others lack.
struct Form {
  std::string_view family;
  int answers;  // that may be wanted; 1: the answer is left to chance, which is fair by symmetry
  Ask ask;
  std::array<std::string_view, 4> wordings;
};

constexpr Form kExistence = {
    "existence",
    2,
    ask_existence,
    {"is there {a} in the image?", "does the image show {a}?", "can you see {a}?", "can you see {a} in the image?"}};
constexpr Form kColour = {"colour",
                          1,
                          ask_colour,
                          {"what colour is the {a}?", "which colour does the {a} have?",
                           "tell me the colour of the {a}.", "tell me which colour the {a} is."}};
constexpr Form kShape = {"shape",
                         1,
                         ask_shape,
                         {"which shape is {a}?", "what is the {a} shape?", "tell me the shape of what is {a}.",
                          "tell me which shape is {a}."}};
constexpr Form kCorner = {"position",
                          1,
                          ask_corner,
                          {"where is the {a}?", "in which corner is the {a}?", "tell me where the {a} is.",
                           "tell me in which corner the {a} is."}};
constexpr Form kSide = {
    "position",
    1,
    ask_side,
    {"on which side of the {b} is the {a}?", "where is the {a} seen from the {b}?",
     "tell me where the {a} is, seen from the {b}.", "seen from the {b}, on which side is the {a}?"}};
constexpr Form kCount = {"count",
                         4,
                         ask_count,
                         {"how many {a} are there?", "count the {a}.", "what is the number of {a} in the image?",
                          "how many {a} are in the image?"}};
constexpr Form kEither = {"count",
                          4,
                          ask_either,
                          {"how many shapes are {a} or {b}?", "count the shapes that are {a} or {b}.",
                           "what is the number of {a} or {b} shapes?", "count the {a} or {b} shapes."}};
constexpr Form kMore = {
    "comparison",
    3,
    ask_more,
    {"are there more {a} or fewer {a} than {b}?", "compare the number of {a} with the number of {b}.",
     "is the number of {a} more, fewer or equal to that of {b}?",
     "compare the {a} with the {b}: more, fewer or equal?"}};
constexpr Form kMost = {"comparison",
                        1,
                        ask_most,
                        {"which are there most of: {a}, {b} or {c}?", "are there most {a}, most {b} or most {c}?",
                         "of {a}, {b} and {c}, which are most?", "{a}, {b} or {c}: which are most?"}};
constexpr Form kBoth = {"position",
                        2,
                        ask_both,
                        {"is the {a} {b} the {c} and {d} the {e}?", "does the {a} lie {b} the {c} and {d} the {e}?",
                         "is it true that the {a} is {b} the {c} and {d} the {e}?",
                         "is it true that the {a} does lie {b} the {c} and {d} the {e}?"}};
constexpr Form kFurthest = {
    "colour",
    1,
    ask_furthest,
    {"what colour is the shape furthest to the {a}?", "which colour does the shape furthest to the {a} have?",
     "tell me the colour of the shape furthest to the {a}.", "tell me which colour the shape furthest to the {a} is."}};

struct Level {
  int fewest, most;  // things
  bool distinct;     // no two things share a colour or a shape
  std::array<const Form*, 4> forms;
};

constexpr Level kLevels[kShapesLevels] = {{1, 1, true, {&kExistence, &kColour, &kShape, &kCorner}},
                                          {2, 2, true, {&kExistence, &kColour, &kShape, &kSide}},
                                          {3, 6, false, {&kExistence, &kColour, &kCount, &kMore}},
                                          {4, 6, false, {&kFurthest, &kEither, &kMost, &kBoth}}};

std::string worded(std::string_view wording, const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < wording.size(); ++i) {
    if (wording[i] != '{') {
      text += wording[i];
      continue;
    }
    text += words.at(size_t(wording[i + 1] - 'a'));
    i += 2;
  }
  return text;
}

}  // namespace

AskedScene asked_scene(int64_t side, int level, const std::vector<Look>& pool, bool other_words, Rng& rng) {
  constexpr int kTries = 100000;
  const Level& rules = kLevels[level];
  struct Wish {
    int answer;
    bool flag;
    size_t wording;
  };
  std::vector<Wish> wishes;
  for (const Form* form : rules.forms)
    wishes.push_back({int(rng.below(form->answers)), rng.bernoulli(0.5),
                      other_words ? form->wordings.size() - 1 : size_t(rng.below(int64_t(form->wordings.size()) - 1))});
  for (int tries = 0; tries < kTries; ++tries) {
    const int count = rules.fewest + int(rng.below(rules.most - rules.fewest + 1));
    AskedScene asked{random_scene(side, count, pool, rules.distinct, rng), {}};
    for (size_t i = 0; i < wishes.size(); ++i) {
      const Form& form = *rules.forms[i];
      const std::optional<Draft> draft = form.ask(asked.scene, wishes[i].answer, wishes[i].flag, pool, rng);
      if (!draft) break;
      asked.questions.push_back({form.family, worded(form.wordings[wishes[i].wording], draft->words), draft->answer});
    }
    if (asked.questions.size() == wishes.size()) return asked;
  }
  fail<ConfigError>("shapes", "no scene of level {} answers its questions on a canvas of {} pixels", level, side);
}

std::string caption_of(const Scene& scene, Rng& rng) {
  const std::vector<Thing>& things = scene.things;
  if (things.size() == 1) return with_article(look_name(things[0].look)) + " at the " + corner_name(scene, things[0]);
  if (things.size() == 2) {
    const bool turned = rng.bernoulli(0.5);
    const Thing &a = things[turned ? 1 : 0], &b = things[turned ? 0 : 1];
    const std::optional<int> side = side_of(scene, a, b);
    const std::string between = !side       ? " beside "
                                : *side < 2 ? " " + std::string(kSides[size_t(*side)]) + " of "
                                            : " " + std::string(kSides[size_t(*side)]) + " ";
    return with_article(look_name(a.look)) + between + with_article(look_name(b.look));
  }
  std::vector<std::pair<Look, int>> counts;
  for (const Thing& thing : shuffled_list(things, rng)) {
    const auto known =
        std::find_if(counts.begin(), counts.end(), [&](const auto& entry) { return entry.first == thing.look; });
    if (known == counts.end())
      counts.emplace_back(thing.look, 1);
    else
      ++known->second;
  }
  std::string text;
  for (size_t i = 0; i < counts.size(); ++i) {
    const auto& [look, count] = counts[i];
    if (i > 0) text += i + 1 < counts.size() ? ", " : " and ";
    text += count == 1 ? with_article(look_name(look))
                       : std::string(kNumbers[size_t(count)]) + " " + colour_name(look.colour) + " " +
                             std::string(kShapePlurals[size_t(look.shape)]);
  }
  return text;
}

}  // namespace vitrail::data
