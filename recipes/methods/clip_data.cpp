#include "vitrail/recipes/methods/clip_data.h"

#include "vitrail/core/error.h"
#include "vitrail/data/io/lines.h"
#include "vitrail/data/load/caption_batch.h"
#include "vitrail/data/sources/class_match.h"
#include "vitrail/data/sources/open_dataset.h"
#include "vitrail/data/sources/source_parts.h"
#include "vitrail/data/text/train_vocabulary.h"
#include "vitrail/recipes/eval/zero_shot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>

namespace vitrail::recipes {
namespace {

data::Vocabulary vocabulary(const ClipModelConfig::Text& text, const data::Pairs& pairs) {
  if (!text.vocab.empty()) return data::Vocabulary::read(text.vocab);
  data::VocabularyTrainer trainer;
  for (const auto& captions : pairs.captions)
    for (const std::string& caption : captions) trainer.add(caption);
  return trainer.train(text.vocab_size);
}

/// A labelled dataset. The recipe may give names, which meet those of the dataset's classes; otherwise the latter are
/// used. Returns a note if names did not decide which is which.
std::string open_labelled(const ClipConfig::ZeroShot& z, EvalClasses& classes) {
  classes.own = data::open_dataset(z.root, z.split);
  classes.images = classes.own.get();
  const std::vector<std::string> folders = words_of(classes.own->classes());
  check<DataError>(!folders.empty(), "zero_shot.root", "{} has no labels in its part '{}'", z.root, z.split);
  if (classes.names.empty()) classes.names = folders;
  const auto count = [](const std::vector<std::string>& names) { return int64_t(names.size()); };
  const data::ClassMatch match =
      data::match_classes("zero_shot.names", {.owner = z.root, .names = folders, .count = count(folders)},
                          {.owner = z.names, .names = words_of(classes.names), .count = count(classes.names)});
  classes.labels.reserve(size_t(classes.own->size()));
  for (int64_t i = 0; i < classes.own->size(); ++i) classes.labels.push_back(match.to[size_t(classes.own->label(i))]);
  return match.note;
}

/// The images of the pairs. An image belongs to the class whose name is one of its captions. False if none does.
bool label_by_captions(const EvalPairs& pairs, EvalClasses& classes) {
  classes.images = pairs.images.get();
  std::unordered_map<std::string, int64_t> label;
  for (size_t i = 0; i < classes.names.size(); ++i) label.try_emplace(classes.names[i], int64_t(i));
  bool any = false;
  classes.labels.reserve(pairs.texts_of.size());
  for (const auto& texts : pairs.texts_of) {
    int64_t& own = classes.labels.emplace_back(data::kNoLabel);
    for (const int64_t text : texts)
      if (const auto found = label.find(pairs.texts[size_t(text)]); found != label.end()) own = found->second;
    any |= own != data::kNoLabel;
  }
  return any;
}

/// A part of the pairs. Images without a caption are left out, with a note. With on_error: skip, images that are not
/// there are left out, up to the share max_bad of all.
data::Pairs open_pairs_of(const DataConfig& config, const std::string& split, const std::vector<std::string>& kinds,
                          std::vector<std::string>& notes) {
  data::Pairs pairs = open_captioned(config, split, kinds);
  if (pairs.left_out > 0)
    notes.push_back(fmt::format("{} images of the part '{}' have no caption{}; they are left out", pairs.left_out,
                                split, kinds.empty() ? "" : " of the kinds asked for"));
  if (std::string note = missing_note(config, split, pairs.missing, pairs.named); !note.empty())
    notes.push_back(std::move(note));
  return pairs;
}

/// The part to evaluate on. Undivided pairs at val_root are taken whole.
data::Pairs open_val_pairs(const DataConfig& config, const std::vector<std::string>& kinds,
                           std::vector<std::string>& notes) {
  const DataConfig there = evaluated(config);
  if (config.val_root.empty()) return open_pairs_of(there, there.val_split, kinds, notes);
  const std::vector<data::SourcePart> parts = data::find_pair_parts(there.root);
  const bool whole = parts.size() == 1 && parts[0].split.empty();
  return open_pairs_of(there, whole ? "" : there.val_split, kinds, notes);
}

}  // namespace

EvalPairs::EvalPairs(data::Pairs pairs) : images(std::move(pairs.images)) {
  std::unordered_map<std::string, int64_t> known;
  texts_of.reserve(pairs.captions.size());
  for (size_t image = 0; image < pairs.captions.size(); ++image) {
    auto& own = texts_of.emplace_back();
    for (std::string& caption : pairs.captions[image]) {
      const auto [text, added] = known.try_emplace(caption, int64_t(texts.size()));
      if (added) {
        texts.push_back(std::move(caption));
        images_of.emplace_back();
      }
      if (std::find(own.begin(), own.end(), text->second) != own.end()) continue;
      own.push_back(text->second);
      images_of[size_t(text->second)].push_back(int64_t(image));
    }
  }
}

Answers answers_among(const EvalPairs& pairs, const std::vector<int64_t>& images) {
  Answers answers;
  answers.texts_of.resize(images.size());
  std::vector<int64_t> row_of(pairs.texts_of.size(), -1);
  for (size_t row = 0; row < images.size(); ++row) row_of[size_t(images[row])] = int64_t(row);
  for (size_t text = 0; text < pairs.texts.size(); ++text) {
    std::vector<int64_t> rows;
    for (const int64_t image : pairs.images_of[text])
      if (row_of[size_t(image)] >= 0) rows.push_back(row_of[size_t(image)]);
    if (rows.empty()) continue;
    for (const int64_t row : rows) answers.texts_of[size_t(row)].push_back(int64_t(answers.texts.size()));
    answers.texts.push_back(pairs.texts[text]);
    answers.images_of.push_back(std::move(rows));
  }
  return answers;
}

ClipTrainData::ClipTrainData(const ClipConfig& config, data::BadFiles& bad_files)
    : config_(config), bad_files_(bad_files) {
  data::Pairs pairs = open_pairs_of(config.data, config.data.train_split, config.captions, notes_);
  for (const std::string& note : pairs.images->notes()) notes_.push_back(note);
  if (std::string note = division_note(config.data); !note.empty()) notes_.push_back(std::move(note));
  tokenizer_.emplace(vocabulary(config.towers.text, pairs));
  ids_.emplace(*tokenizer_, pairs.captions, config.towers.text.context_length);
  images_ = std::move(pairs.images);
  train_transform(config.data);  // refuses bad values now, before a run has a folder
}

int64_t ClipTrainData::epoch_size() const { return epoch_length(config_.data, config_.seed, images_->size()); }

std::unique_ptr<data::Loader> ClipTrainData::loader(const data::LoaderState& start, int64_t passes) {
  data::CaptionBatch pairs(training_images(config_.data, *images_, bad_files_), *ids_, uint64_t(config_.seed));
  return std::make_unique<data::Loader>(std::move(pairs),
                                        shuffled(config_.data, config_.seed, config_.train.batch_size, passes, start));
}

Tensor to_tensor(const data::Vocabulary& vocabulary) {
  const std::string merges = vocabulary.merges_text();
  Tensor bytes = Tensor::empty({int64_t(merges.size())}, DType::u8);
  std::memcpy(bytes.raw(), merges.data(), merges.size());
  return bytes;
}

data::Vocabulary to_vocabulary(const Tensor& merges, const std::string& name) {
  return data::Vocabulary::parse(std::as_bytes(merges.span<uint8_t>()), name);
}

ClipEvalData::ClipEvalData(const ClipConfig& config, data::BadFiles& bad_files)
    : config_(config), bad_files_(bad_files) {
  open_pairs();
  open_classes();
}

void ClipEvalData::open_pairs() {
  try {
    pairs_.emplace(open_val_pairs(config_.data, config_.eval.captions, notes_));
  } catch (const DataError& error) {
    if (!config_.eval.captions.empty() && open_all_captions()) return;
    notes_.push_back("no retrieval evaluation: " + std::string(error.what()));
  }
}

bool ClipEvalData::open_all_captions() {
  try {
    data::Pairs pairs = open_val_pairs(config_.data, {}, notes_);
    if (!pairs.kinds.empty()) {
      notes_.push_back("eval.captions=[] takes the captions of all kinds");
      return false;
    }
    notes_.push_back("retrieval takes all captions: these have no kinds, such as eval.captions asks for");
    pairs_.emplace(std::move(pairs));
    return true;
  } catch (const DataError&) {
    return false;
  }
}

void ClipEvalData::open_classes() {
  const ClipConfig::ZeroShot& z = config_.zero_shot;
  if (z.root.empty() && (z.names.empty() || !pairs_)) return;
  EvalClasses classes;
  if (!z.names.empty()) classes.names = data::read_lines(z.names);
  classes.templates = z.templates.empty() ? std::vector<std::string>{"{}"} : data::read_lines(z.templates);
  if (!z.root.empty()) {
    if (const std::string note = open_labelled(z, classes); !note.empty())
      notes_.push_back("[zero_shot.names] " + note);
  } else if (!label_by_captions(*pairs_, classes)) {
    notes_.push_back(
        fmt::format("no zero-shot evaluation: no caption of the part '{}' of {} is one of the {} names in {}; "
                    "zero_shot.names=FILE names your classes, zero_shot.root=FOLDER has labelled images",
                    config_.data.val_split, place_of(evaluated(config_.data)), classes.names.size(), z.names));
    return;
  }
  classes_.emplace(std::move(classes));
}

std::unique_ptr<data::Loader> ClipEvalData::loader(const data::Dataset& images) {
  constexpr int64_t kMost = 256;  // images at a time: a training batch may be too large for this
  return eval_loader(config_.data, images, std::min(config_.train.batch_size, kMost), bad_files_);
}

}  // namespace vitrail::recipes
