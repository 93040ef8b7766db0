// What CLIP trains on and what it is evaluated on: images with their captions, and classes with names.
#pragma once

#include "vitrail/data/sources/pairs.h"
#include "vitrail/data/text/caption_ids.h"
#include "vitrail/data/text/tokenizer.h"
#include "vitrail/recipes/methods/clip.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::recipes {

/// The pairs of an evaluation. Captions that read the same are one.
struct EvalPairs {
  std::unique_ptr<data::Dataset> images;
  std::vector<std::string> texts;
  std::vector<std::vector<int64_t>> texts_of;   // for each image
  std::vector<std::vector<int64_t>> images_of;  // for each text

  explicit EvalPairs(data::Pairs pairs);
};

/// Images with classes that are given by name.
struct EvalClasses {
  const data::Dataset* images = nullptr;  // those of the pairs, or `own`
  std::unique_ptr<data::Dataset> own;
  std::vector<std::string> names, templates;
  std::vector<int64_t> labels;  // for each image; data::kNoLabel: it is not asked
};

/// The training part, and the vocabulary.
class ClipTrainData final {
 public:
  /// bad_files outlives this. Throws DataError or IoError as data::open_pairs and data::Vocabulary::read.
  ClipTrainData(const ClipConfig& config, data::BadFiles& bad_files);

  int64_t size() const { return images_->size(); }
  /// Images in an epoch.
  int64_t epoch_size() const;
  const data::Tokenizer& tokenizer() const { return *tokenizer_; }
  /// Augmented images in random order, with a caption each: see data::CaptionBatch.
  std::unique_ptr<data::Loader> loader(const data::LoaderState& start);

 private:
  const ClipConfig config_;
  data::BadFiles& bad_files_;
  std::unique_ptr<data::Dataset> images_;
  std::optional<data::Tokenizer> tokenizer_;
  std::optional<data::CaptionIds> ids_;
};

/// What there is to evaluate on: pairs, classes with names, both or nothing.
class ClipEvalData final {
 public:
  /// bad_files outlives this. Throws DataError or IoError as data::open_dataset. Data without such a part is no error.
  ClipEvalData(const ClipConfig& config, data::BadFiles& bad_files);

  const std::optional<EvalPairs>& pairs() const { return pairs_; }
  const std::optional<EvalClasses>& classes() const { return classes_; }
  /// All images once, in order, as a model is evaluated on them.
  std::unique_ptr<data::Loader> loader(const data::Dataset& images);
  /// Why something is not there.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  void open_pairs();
  void open_classes();

  const ClipConfig config_;
  data::BadFiles& bad_files_;
  std::optional<EvalPairs> pairs_;
  std::optional<EvalClasses> classes_;
  std::vector<std::string> notes_;
};

}  // namespace vitrail::recipes
