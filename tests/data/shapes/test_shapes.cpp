#include "vitrail/core/error.h"
#include "vitrail/core/parallel.h"
#include "vitrail/data/draw/contact_sheet.h"
#include "vitrail/data/shapes/questions.h"
#include "vitrail/data/shapes/shapes.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <sstream>

namespace vitrail::data {
namespace {

/// The words of a text, without what stands at their ends.
std::vector<std::string> words_in(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) {
    while (!word.empty() && std::string_view(",.:?").find(word.back()) != std::string_view::npos) word.pop_back();
    words.push_back(word);
  }
  return words;
}

template <class Names>
int number_in(const Names& names, std::string_view word) {
  const auto found = std::find(names.begin(), names.end(), word);
  return found == names.end() ? -1 : int(found - names.begin());
}

/// Colours, and shapes in the plural, that the words name, with the number of things that have them; in order.
std::vector<std::pair<std::string, int>> counted(const std::vector<std::string>& words, const Scene& scene) {
  std::vector<std::pair<std::string, int>> out;
  for (const std::string& word : words) {
    const int colour = number_in(kColourNames, word), shape = number_in(kShapePlurals, word);
    if (colour < 0 && shape < 0) continue;
    if (std::any_of(out.begin(), out.end(), [&](const auto& entry) { return entry.first == word; })) continue;
    out.emplace_back(word, int(std::count_if(scene.things.begin(), scene.things.end(), [&](const Thing& thing) {
                       return thing.look.colour == colour || thing.look.shape == shape;
                     })));
  }
  return out;
}

const Thing* only(const Scene& scene, int colour, int shape) {
  const Thing* found = nullptr;
  for (const Thing& thing : scene.things) {
    if ((colour >= 0 && thing.look.colour != colour) || (shape >= 0 && thing.look.shape != shape)) continue;
    if (found != nullptr) return nullptr;
    found = &thing;
  }
  return found;
}

/// Where a question stands about thing a, seen from thing b.
bool is_on(const Thing& a, const Thing& b, const std::string& side) {
  if (side == "left") return a.x < b.x;
  if (side == "right") return a.x > b.x;
  return side == "above" ? a.y < b.y : a.y > b.y;
}

std::string position_answer(const std::vector<std::string>& words, const Scene& scene, int level) {
  std::vector<const Thing*> things;
  std::vector<std::string> sides;
  bool turned = false;  // the question names b before a
  for (size_t i = 0; i < words.size(); ++i) {
    const int shape = number_in(kShapeNames, words[i]);
    if (shape >= 0) things.push_back(only(scene, -1, shape));
    if (shape >= 0 && things.size() == 1) turned = i >= 2 && (words[i - 2] == "of" || words[i - 2] == "from");
    for (const char* side : {"left", "right", "above", "below"})
      if (words[i] == side) sides.push_back(side);
  }
  if (level == 3) {
    REQUIRE(things.size() == 3);
    REQUIRE(sides.size() == 2);
    return is_on(*things[0], *things[1], sides[0]) && is_on(*things[0], *things[2], sides[1]) ? "yes" : "no";
  }
  REQUIRE(things.size() == 2);
  const Thing &a = *things[turned ? 1 : 0], &b = *things[turned ? 0 : 1];
  if (std::abs(a.x - b.x) > std::abs(a.y - b.y)) return a.x < b.x ? "left" : "right";
  return a.y < b.y ? "above" : "below";
}

std::string furthest_colour(const std::vector<std::string>& words, const Scene& scene) {
  const auto place = [&](const Thing& thing) {
    for (const std::string& word : words) {
      if (word == "left") return -thing.x;
      if (word == "right") return thing.x;
      if (word == "top") return -thing.y;
    }
    return thing.y;
  };
  const auto found = std::max_element(scene.things.begin(), scene.things.end(),
                                      [&](const Thing& a, const Thing& b) { return place(a) < place(b); });
  return std::string(kColourNames[size_t(found->look.colour)]);
}

/// The answer that the scene gives, found from the words of the question.
std::string answer_of(const SceneQuestion& asked, const Scene& scene, int level) {
  const std::vector<std::string> words = words_in(asked.question);
  int colour = -1, shape = -1;
  for (const std::string& word : words) {
    colour = std::max(colour, number_in(kColourNames, word));
    shape = std::max(shape, number_in(kShapeNames, word));
  }
  const auto counts = counted(words, scene);
  if (asked.family == "existence") {
    const bool there = std::any_of(scene.things.begin(), scene.things.end(), [&](const Thing& thing) {
      return thing.look == Look{colour, shape};
    });
    return there ? "yes" : "no";
  }
  if (asked.family == "count") {
    constexpr const char* kNumbers[] = {"zero", "one", "two", "three", "four", "five", "six"};
    int sum = 0;
    for (const auto& entry : counts) sum += entry.second;
    return kNumbers[sum];
  }
  if (asked.family == "comparison" && level == 2) {
    REQUIRE(counts.size() == 2);
    return counts[0].second > counts[1].second ? "more" : counts[0].second < counts[1].second ? "fewer" : "equal";
  }
  if (asked.family == "comparison") {
    REQUIRE(counts.size() == 3);
    return std::max_element(counts.begin(), counts.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; })
        ->first;
  }
  if (asked.family == "colour" && level == 3) return furthest_colour(words, scene);
  if (asked.family == "colour") return std::string(kColourNames[size_t(only(scene, -1, shape)->look.colour)]);
  if (asked.family == "shape") return std::string(kShapeNames[size_t(only(scene, colour, -1)->look.shape)]);
  if (asked.family == "position" && level == 0) {
    const double middle = double(scene.side) / 2;
    return std::string(scene.things[0].y < middle ? "top" : "bottom") +
           (scene.things[0].x < middle ? " left" : " right");
  }
  return position_answer(words, scene, level);
}

/// Right answers of the best guess by the words of a question alone: the most frequent answer to it among `known`.
double guessed(const Conversations& known, const Conversations& asked) {
  std::map<std::string, std::map<std::string, int>> answers;
  for (const Conversation& sample : known.samples) ++answers[sample.turns[0].text][sample.turns[1].text];
  int64_t right = 0;
  for (const Conversation& sample : asked.samples) {
    const auto found = answers.find(sample.turns[0].text);
    std::string best = "no";  // for a question that was never seen
    int most = 0;
    if (found != answers.end())
      for (const auto& [answer, count] : found->second)
        if (count > most) {
          best = answer;
          most = count;
        }
    right += best == sample.turns[1].text;
  }
  return double(right) / double(asked.size());
}

ShapesOptions few(int64_t train, int64_t val) {
  ShapesOptions options;
  options.train = train;
  options.val = val;
  return options;
}

}  // namespace

TEST_CASE("shapes: answers are those that the scene gives") {
  for (int level = 0; level < kShapesLevels; ++level) {
    std::map<std::string, int> read;
    for (uint64_t i = 0; i < 200; ++i) {
      Rng rng(1, "test", i);
      const AskedScene asked = asked_scene(64, level, looks(false), i % 4 == 0, rng);
      REQUIRE(asked.questions.size() == 4);
      for (const SceneQuestion& question : asked.questions) {
        CAPTURE(question.question);
        CHECK(question.answer == answer_of(question, asked.scene, level));
        ++read[std::string(question.family)];
      }
    }
    CHECK(read.size() == 4);
    for (const auto& entry : read) CHECK(entry.second == 200);
  }
}

TEST_CASE("shapes: on which side, and which is furthest") {
  const auto thing = [](int colour, int shape, double x, double y) { return Thing{{colour, shape}, x, y, 8}; };
  Scene scene{64, {thing(0, 1, 12, 30), thing(2, 0, 50, 34)}, {}, 0};
  Rng rng(1, "caption", 0);
  std::set<std::string> captions;
  for (int i = 0; i < 20; ++i) captions.insert(caption_of(scene, rng));
  CHECK(captions == std::set<std::string>{"a red square left of a blue circle", "a blue circle right of a red square"});
  scene.things[1].x = 14;
  scene.things[1].y = 55;
  captions.clear();
  for (int i = 0; i < 20; ++i) captions.insert(caption_of(scene, rng));
  CHECK(captions == std::set<std::string>{"a red square above a blue circle", "a blue circle below a red square"});
  scene.things[1].x = 40;
  captions.clear();
  for (int i = 0; i < 20; ++i) captions.insert(caption_of(scene, rng));
  CHECK(captions == std::set<std::string>{"a red square beside a blue circle", "a blue circle beside a red square"});
  scene.things.pop_back();
  CHECK(caption_of(scene, rng) == "a red square at the top left");
  scene.things = {thing(4, 3, 0, 0), thing(4, 3, 0, 0)};
  scene.things.push_back(thing(4, 3, 0, 0));
  CHECK(caption_of(scene, rng) == "three orange stars");
  scene.things.push_back(thing(4, 4, 0, 0));
  captions.clear();
  for (int i = 0; i < 40; ++i) captions.insert(caption_of(scene, rng));
  CHECK(captions.size() == 2);
  CHECK(captions.contains("an orange cross and three orange stars"));
}

TEST_CASE("shapes: a question says nothing about its answer") {
  const ShapesOptions options = few(4000, 1000);
  const Conversations train = shapes_conversations(options, "train"), val = shapes_conversations(options, "val");
  CHECK(train.size() == 16000);
  CHECK(val.size() == 4000);
  const double score = guessed(train, val);
  MESSAGE("the best guess by the question alone is right in " << 100 * score << "% of val");
  CHECK(score < 0.45);
  CHECK(score > 0.2);  // it does use the question: one answer to all is right less often
  CHECK(guessed(train, shapes_conversations(options, "composition")) < 0.45);
  for (int64_t level = 0; level < kShapesLevels; ++level) {
    CAPTURE(level);
    ShapesOptions one = few(2000, 1000);
    one.levels = {level};
    CHECK(guessed(shapes_conversations(one, "train"), shapes_conversations(one, "val")) < 0.45);
  }
}

TEST_CASE("shapes: held-out combinations are neither shown nor asked about in other parts") {
  CHECK(looks(true).size() == 12);
  CHECK(looks(false).size() == 36);
  const auto held_out_names = [](const Conversations& all, const std::string& family) {
    int64_t named = 0, asked = 0;
    for (size_t i = 0; i < all.samples.size(); ++i) {
      if (!all.families[size_t(all.family_of[i])].ends_with(family)) continue;
      int colour = -1, shape = -1;
      for (const std::string& word : words_in(all.samples[i].turns[0].text)) {
        colour = std::max(colour, number_in(kColourNames, word));
        shape = std::max(shape, number_in(kShapeNames, word));
      }
      ++asked;
      named += is_held_out({colour, shape});
    }
    CHECK(asked > 0);
    return double(named) / double(asked);
  };
  const ShapesOptions options = few(400, 400);
  for (const char* split : {"train", "val", "test", "paraphrase"})
    CHECK(held_out_names(shapes_conversations(options, split), "existence") == 0);
  CHECK(held_out_names(shapes_conversations(options, "composition"), "existence") == 1);
  for (const Look look : looks(false))  // captions name what is shown
    for (const std::vector<std::string>& captions : shapes_pairs(options, "composition").captions)
      CHECK(captions[0].find(std::string(kColourNames[size_t(look.colour)]) + " " +
                             std::string(kShapeNames[size_t(look.shape)])) == std::string::npos);
}

TEST_CASE("shapes: held-out wordings have no word that training lacks") {
  const ShapesOptions options = few(1000, 400);
  const Conversations train = shapes_conversations(options, "train");
  std::map<std::string, std::set<std::string>> known;
  std::set<std::string> questions;
  for (size_t i = 0; i < train.samples.size(); ++i) {
    const std::string& question = train.samples[i].turns[0].text;
    questions.insert(question);
    for (const std::string& word : words_in(question)) known[train.families[size_t(train.family_of[i])]].insert(word);
  }
  const Conversations other = shapes_conversations(options, "paraphrase");
  for (size_t i = 0; i < other.samples.size(); ++i) {
    const std::string& question = other.samples[i].turns[0].text;
    CHECK(!questions.contains(question));
    for (const std::string& word : words_in(question)) {
      CAPTURE(question);
      CHECK(known[other.families[size_t(other.family_of[i])]].contains(word));
    }
  }
}

TEST_CASE("shapes: an image is a function of seed, part and number") {
  ShapesOptions options = few(24, 8);
  const auto sheet = [](const ShapesOptions& of, const std::string& split) {
    const Conversations all = shapes_conversations(of, split);
    std::vector<Image> images;
    std::vector<std::string> captions;
    for (int64_t i = 0; i < all.size(); ++i) {
      const std::vector<Turn>& turns = all.samples[size_t(i)].turns;
      images.push_back(all.images->get(all.image_of[size_t(i)]).image);
      captions.push_back(turns[0].text + " " + turns[1].text);
    }
    const Image out = contact_sheet(images, captions, {.columns = 8, .cell = 64});
    return std::string(reinterpret_cast<const char*>(out.data()), out.pixels().size());
  };
  const std::string train = sheet(options, "train");
  const int threads = num_threads();
  set_num_threads(4);
  CHECK(sheet(options, "train") == train);
  set_num_threads(threads);
  ShapesOptions other = options;
  other.seed = 1;
  CHECK(sheet(other, "train") != train);
  CHECK(sheet(options, "val") != sheet(options, "test"));
  other = options;
  other.train = 25;  // more images leave the others as they are
  CHECK(shapes_conversations(other, "train").samples[90] == shapes_conversations(options, "train").samples[90]);
  CHECK(stream_id(train) == 12560424594476572348u);  // the bytes of the sheet, on any machine
}

TEST_CASE("shapes: pairs are the same images with captions") {
  const ShapesOptions options = few(8, 4);
  const Pairs pairs = shapes_pairs(options, "train");
  const std::unique_ptr<Dataset> images = shapes_images(options, "train");
  REQUIRE(pairs.images->size() == 8);
  CHECK(pairs.captions.size() == 8);
  for (int64_t i = 0; i < 8; ++i) CHECK(pairs.images->get(i).image == images->get(i).image);
  CHECK(images->get(3).image.size() == ImageSize{64, 64});
  CHECK(images->name(3) == "shapes train[3]");
  CHECK(pairs.captions[0][0].find(" at the ") != std::string::npos);
}

TEST_CASE("shapes: options that make no scene are refused") {
  const auto refused = [](const ShapesOptions& options, const char* message) {
    CHECK_THROWS_WITH_AS(shapes_images(options, "train"), doctest::Contains(message), ConfigError);
  };
  ShapesOptions options;
  options.levels = {4};
  refused(options, "there is no level 4; 0 to 3 are there");
  options.levels = {};
  refused(options, "levels is empty");
  options = {};
  options.side = 16;
  refused(options, "the side is 16 pixels; it must be 32 to 1024");
  refused(few(0, 1), "0 images");
  CHECK_THROWS_WITH_AS(shapes_pairs({}, "dev"),
                       doctest::Contains("no part 'dev'; there is: train, val, test, composition, paraphrase"),
                       DataError);
}

}  // namespace vitrail::data
