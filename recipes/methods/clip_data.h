// The data of CLIP: images with captions to train on; pairs and named classes to evaluate on.
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

/// The pairs of an evaluation. Equal captions count as one text.
struct EvalPairs {
  std::unique_ptr<data::Dataset> images;
  std::vector<std::string> texts;
  std::vector<std::vector<int64_t>> texts_of;   // for each image
  std::vector<std::vector<int64_t>> images_of;  // for each text

  explicit EvalPairs(data::Pairs pairs);
};

/// The right answers among some of the images and the texts that these have.
struct Answers {
  std::vector<std::string> texts;
  std::vector<std::vector<int64_t>> texts_of, images_of;  // as in EvalPairs, by row in `images` and in texts
};
/// images: numbers of images of the pairs, those that could be read.
Answers answers_among(const EvalPairs& pairs, const std::vector<int64_t>& images);

/// Images whose classes have names.
struct EvalClasses {
  const data::Dataset* images = nullptr;  // the images of the pairs, or `own`
  std::unique_ptr<data::Dataset> own;
  std::vector<std::string> names, templates;
  std::vector<int64_t> labels;  // for each image; data::kNoLabel: the image is left out
};

/// The training part and the vocabulary.
class ClipTrainData final {
 public:
  /// bad_files outlives this. Throws DataError or IoError as data::open_pairs and data::Vocabulary::read.
  ClipTrainData(const ClipConfig& config, data::BadFiles& bad_files);

  /// The number of training images.
  int64_t size() const { return images_->size(); }
  /// Images in an epoch.
  int64_t epoch_size() const;
  /// What was passed over or left out when the images were opened.
  const std::vector<std::string>& notes() const { return notes_; }
  /// The tokenizer of the vocabulary in use.
  const data::Tokenizer& tokenizer() const { return *tokenizer_; }
  /// Augmented images in random order, `passes` times, with a caption each: see data::CaptionBatch.
  std::unique_ptr<data::Loader> loader(const data::LoaderState& start, int64_t passes = 1);

 private:
  const ClipConfig config_;
  data::BadFiles& bad_files_;
  std::unique_ptr<data::Dataset> images_;
  std::optional<data::Tokenizer> tokenizer_;
  std::optional<data::CaptionIds> ids_;
  std::vector<std::string> notes_;
};

/// The vocabulary as a checkpoint keeps it, and back. name: the checkpoint, for messages.
Tensor to_tensor(const data::Vocabulary& vocabulary);
data::Vocabulary to_vocabulary(const Tensor& merges, const std::string& name);

/// The data of evaluations: pairs, named classes, both or neither.
class ClipEvalData final {
 public:
  /// bad_files outlives this. Missing parts are no error. Throws DataError or IoError as data::open_dataset.
  ClipEvalData(const ClipConfig& config, data::BadFiles& bad_files);

  /// The parts that the recipe names and that exist; notes() explains the others.
  const std::optional<EvalPairs>& pairs() const { return pairs_; }
  const std::optional<EvalClasses>& classes() const { return classes_; }
  /// All images once, in order, with the transform of evaluations. Broken ones are left out.
  std::unique_ptr<data::Loader> loader(const data::Dataset& images);
  /// The reasons for missing parts, and what had to be assumed.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  void open_pairs();
  /// Takes all captions of a source that has no kinds. False if it has kinds, or cannot be read.
  bool open_all_captions();
  void open_classes();

  const ClipConfig config_;
  data::BadFiles& bad_files_;
  std::optional<EvalPairs> pairs_;
  std::optional<EvalClasses> classes_;
  std::vector<std::string> notes_;
};

}  // namespace vitrail::recipes
