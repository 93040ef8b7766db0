// Questions about scenes, with their answers, and captions of them.
#pragma once

#include "vitrail/data/shapes/scene.h"

#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

/// The levels: L0 one thing; L1 two, and how they lie to each other; L2 three to six, counted and compared; L3 four to
/// six, in questions about three of them or about all.
inline constexpr int kShapesLevels = 4;

struct SceneQuestion {
  std::string_view family;  // existence, colour, shape, position, count, comparison
  std::string question, answer;
};

struct AskedScene {
  Scene scene;
  std::vector<SceneQuestion> questions;  // one of each family of the level
};

/// A random scene with questions. The answer of each question is drawn first, all answers with the same probability,
/// and then the scene to it: so the words of a question say nothing about its answer. pool: the looks of things and of
/// questions about them. other_words: the wording that is held out, else one of the others.
AskedScene asked_scene(int64_t side, int level, const std::vector<Look>& pool, bool other_words, Rng& rng);

/// "a red circle at the top left", "a red circle left of a blue square", "two red circles and a blue star": what is to
/// be seen, in random order.
std::string caption_of(const Scene& scene, Rng& rng);

}  // namespace vitrail::data
