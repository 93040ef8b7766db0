#include "vitrail/nn/splice.h"

#include "vitrail/core/error.h"

#include <algorithm>

namespace vitrail::nn {
namespace {

void expect_text(const LabelledText& text, size_t b) {
  check<ShapeError>(!text.ids.empty(), "splice", "text {} has no tokens", b);
  check<ShapeError>(text.labels.empty() || text.labels.size() == text.ids.size(), "splice",
                    "text {} has {} ids and {} labels", b, text.ids.size(), text.labels.size());
  for (size_t i = 0; i < text.ids.size(); ++i) {
    const int64_t id = text.ids[i];
    check<ShapeError>(id >= 0 || id == kImagePlace, "splice", "text {} has id {}; the place of an image is {}", b, id,
                      kImagePlace);
    const int64_t label = text.labels.empty() ? kNoLabel : text.labels[i];
    check<ShapeError>(id >= 0 || label == kNoLabel, "splice",
                      "text {} has label {} at the place of an image; it must be {}", b, label, kNoLabel);
  }
}

/// A token of a sequence. row: among the words, or among the features of images.
struct Token {
  bool image;
  int64_t row, label;
};

}  // namespace

Splice splice(std::span<const LabelledText> texts, const SpliceOptions& options) {
  Splice result;
  result.image_tokens = options.image_tokens;
  result.pad_side = options.pad_side;
  std::vector<std::vector<Token>> sequences;
  std::vector<int64_t> words;
  int64_t longest = 0;
  for (size_t b = 0; b < texts.size(); ++b) {
    expect_text(texts[b], b);
    std::vector<Token>& tokens = sequences.emplace_back();
    int64_t image_end = 0;
    const auto room = [&](int64_t more) {
      const auto length = int64_t(tokens.size());
      return options.max_length > 0 ? std::min(more, options.max_length - length) : more;
    };
    for (size_t i = 0; i < texts[b].ids.size(); ++i) {
      const int64_t id = texts[b].ids[i];
      if (id == kImagePlace) {
        const int64_t first = result.images++ * options.image_tokens, count = room(options.image_tokens);
        for (int64_t k = 0; k < count; ++k) tokens.push_back({true, first + k, kNoLabel});
        if (image_end == 0) image_end = int64_t(tokens.size());
      } else if (room(1) > 0) {
        tokens.push_back({false, int64_t(words.size()), texts[b].labels.empty() ? kNoLabel : texts[b].labels[i]});
        words.push_back(id);
      }
    }
    result.lengths.push_back(int64_t(tokens.size()));
    result.image_ends.push_back(image_end);
    longest = std::max(longest, result.lengths.back());
  }

  const auto batch = int64_t(texts.size()), first_image = int64_t(words.size());
  const int64_t padding = first_image + result.images * options.image_tokens;
  result.rows = full({batch, longest}, double(padding), DType::i64);
  std::vector<int64_t> predicting, targets;
  for (int64_t b = 0; b < batch; ++b) {
    const std::vector<Token>& tokens = sequences[size_t(b)];
    const int64_t start = options.pad_side == PadSide::left ? longest - int64_t(tokens.size()) : 0;
    for (size_t i = 0; i < tokens.size(); ++i) {
      const int64_t place = b * longest + start + int64_t(i);
      result.rows.data<int64_t>()[place] = tokens[i].row + (tokens[i].image ? first_image : 0);
      if (i == 0 || tokens[i].label == kNoLabel) continue;
      predicting.push_back(place - 1);
      targets.push_back(tokens[i].label);
    }
  }
  result.ids = tensor(words, {first_image});
  result.predicting = tensor(predicting, {int64_t(predicting.size())});
  result.targets = tensor(targets, {int64_t(targets.size())});
  return result;
}

}  // namespace vitrail::nn
