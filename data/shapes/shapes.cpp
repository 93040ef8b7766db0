#include "vitrail/data/shapes/shapes.h"

#include "vitrail/core/error.h"
#include "vitrail/core/parallel.h"
#include "vitrail/data/shapes/questions.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace vitrail::data {
namespace {

constexpr std::string_view kShapesSplits[] = {"train", "val", "test", "composition", "paraphrase"};
constexpr int64_t kRunOfScenes = 64;

/// One part.
class ShapesPart final {
 public:
  ShapesPart(ShapesOptions options, std::string_view split)
      : options_(std::move(options)), split_(split), pool_(looks(split == "composition")) {
    check<DataError>(std::find(std::begin(kShapesSplits), std::end(kShapesSplits), split) != std::end(kShapesSplits),
                     "shapes", "there is no part '{}'; there is: {}", split,
                     fmt::format("{}", fmt::join(kShapesSplits, ", ")));
    check<ConfigError>(!options_.levels.empty(), "shapes", "levels is empty; 0 to {} are there", kShapesLevels - 1);
    for (const int64_t level : options_.levels)
      check<ConfigError>(level >= 0 && level < kShapesLevels, "shapes", "there is no level {}; 0 to {} are there",
                         level, kShapesLevels - 1);
    constexpr int64_t kSmallest = 32, kLargest = 1024;
    check<ConfigError>(options_.side >= kSmallest && options_.side <= kLargest, "shapes",
                       "the side is {} pixels; it must be {} to {}", options_.side, kSmallest, kLargest);
    check<ConfigError>(size() > 0, "shapes", "{} images; there must be at least one", size());
  }

  int64_t size() const { return split_ == "train" ? options_.train : options_.val; }
  const std::string& split() const { return split_; }
  int64_t level(int64_t index) const { return options_.levels[size_t(index) % options_.levels.size()]; }
  AskedScene asked(int64_t index) const {
    Rng rng = random("scene", index);
    return asked_scene(options_.side, int(level(index)), pool_, split_ == "paraphrase", rng);
  }
  std::string caption(int64_t index) const {
    Rng rng = random("caption", index);
    return caption_of(asked(index).scene, rng);
  }

 private:
  Rng random(std::string_view what, int64_t index) const {
    return {uint64_t(options_.seed), fmt::format("shapes {} {}", split_, what), uint64_t(index)};
  }

  ShapesOptions options_;
  std::string split_;
  std::vector<Look> pool_;
};

class ShapesImages final : public Dataset {
 public:
  explicit ShapesImages(ShapesPart part) : part_(std::move(part)) {}

  int64_t size() const override { return part_.size(); }
  const std::vector<std::string>& classes() const override { return classes_; }
  int64_t label(int64_t) const override { return kNoLabel; }
  Sample get(int64_t index) const override { return {draw_scene(part_.asked(index).scene), kNoLabel}; }
  std::string name(int64_t index) const override { return fmt::format("shapes {}[{}]", part_.split(), index); }

 private:
  ShapesPart part_;
  std::vector<std::string> classes_;
};

}  // namespace

std::vector<std::string> shapes_splits() { return {std::begin(kShapesSplits), std::end(kShapesSplits)}; }

std::unique_ptr<Dataset> shapes_images(const ShapesOptions& options, std::string_view split) {
  return std::make_unique<ShapesImages>(ShapesPart(options, split));
}

Pairs shapes_pairs(const ShapesOptions& options, std::string_view split) {
  const ShapesPart part(options, split);
  Pairs pairs;
  pairs.captions.resize(size_t(part.size()));
  parallel_for(part.size(), kRunOfScenes, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) pairs.captions[size_t(i)] = {part.caption(i)};
  });
  pairs.images = std::make_unique<ShapesImages>(part);
  pairs.named = part.size();
  return pairs;
}

Conversations shapes_conversations(const ShapesOptions& options, std::string_view split) {
  const ShapesPart part(options, split);
  std::vector<std::vector<SceneQuestion>> questions(size_t(part.size()));
  parallel_for(part.size(), kRunOfScenes, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) questions[size_t(i)] = part.asked(i).questions;
  });
  Conversations all;
  for (int64_t i = 0; i < part.size(); ++i)
    for (const SceneQuestion& asked : questions[size_t(i)])
      all.add(question_and_answer(asked.question, asked.answer, /*about_image=*/true), i,
              fmt::format("L{} {}", part.level(i), asked.family));
  all.images = std::make_unique<ShapesImages>(part);
  all.named = part.size();
  return all;
}

}  // namespace vitrail::data
