#include "vitrail/recipes/eval/evaluate.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/backbone.h"
#include "vitrail/recipes/eval/finite.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace vitrail::recipes {

std::vector<int64_t> label_places(const Tensor& logits, const Tensor& labels, int64_t k) {
  const int64_t width = std::min(k, logits.size(1));
  const Tensor best = core::topk(logits.to(DType::f32), width).indices;
  const auto guesses = best.span<int64_t>(), truth = labels.span<int64_t>();
  std::vector<int64_t> places;
  for (size_t i = 0; i < truth.size(); ++i) {
    const auto row = guesses.subspan(i * size_t(width), size_t(width));
    const auto found = std::find(row.begin(), row.end(), truth[i]);
    places.push_back(found == row.end() ? k : found - row.begin());
  }
  return places;
}

double share_below(const std::vector<int64_t>& places, int64_t n) {
  const auto right = std::count_if(places.begin(), places.end(), [n](int64_t place) { return place < n; });
  return double(right) / double(places.size());
}

namespace {

void add_scores(Scores& scores, const Tensor& logits, const Tensor& labels) {
  constexpr int64_t kBest = 5;
  scores.classes.resize(size_t(logits.size(1)));
  const auto truth = labels.span<int64_t>();
  scores.loss += double(truth.size()) * core::cross_entropy(logits, labels, {}).loss.item();
  const std::vector<int64_t> places = label_places(logits, labels, kBest);
  for (size_t i = 0; i < places.size(); ++i)
    for (ClassScore* score : {&scores.all, &scores.classes.at(size_t(truth[i]))}) {
      ++score->images;
      score->top1 += places[i] < 1;
      score->top5 += places[i] < kBest;
    }
}

void add_confusion(Confusion& confusion, const Tensor& logits, const Tensor& labels) {
  const Tensor guesses = core::argmax(logits, 1);
  const auto truth = labels.span<int64_t>(), guess = guesses.span<int64_t>();
  const auto counts = confusion.span<int64_t>();
  for (size_t i = 0; i < truth.size(); ++i) ++counts[size_t(truth[i] * confusion.size(1) + guess[i])];
}

/// logits_of: images to the logits of the whole model, then those of each head if it has several.
template <class LogitsOf>
Scores evaluate_logits(LogitsOf&& logits_of, data::Loader& loader, const Tick& tick, Confusion* confusion) {
  Scores scores;
  for (int64_t done = 0; const auto batch = loader.next();) {
    const std::vector<Tensor> logits = logits_of((*batch)["images"]);
    const Tensor& labels = (*batch)["labels"];
    expect_finite(logits[0], "eval", [&](int64_t i) { return "image " + std::to_string(batch->indices[size_t(i)]); });
    add_scores(scores, logits[0], labels);
    if (confusion) add_confusion(*confusion, logits[0], labels);
    scores.heads.resize(logits.size() - 1);
    for (size_t i = 1; i < logits.size(); ++i) add_scores(scores.heads[i - 1], logits[i], labels);
    tick(++done, loader.batches_per_epoch());
  }
  check<DataError>(scores.all.images > 0, "evaluate", "no image is left to evaluate on: all are broken");
  scores.loss /= double(scores.all.images);
  for (Scores& head : scores.heads) head.loss /= double(head.all.images);
  return scores;
}

}  // namespace

Stats Scores::stats() const {
  const double count = double(all.images);
  Stats result = {{"loss", loss}, {"top1", double(all.top1) / count}, {"top5", double(all.top5) / count}};
  constexpr const char* kPrefixes[] = {"cls_", "dist_"};
  for (size_t i = 0; i < heads.size(); ++i)
    for (const auto& [name, value] : heads[i].stats()) result.emplace_back(kPrefixes[i] + name, value);
  return result;
}

std::string left_out_note(int64_t images, int64_t scored) {
  if (scored >= images) return {};
  return fmt::format("{} of {} images to evaluate on are broken and left out", images - scored, images);
}

Scores evaluate(nn::Backbone& model, data::Loader& loader, const Tick& tick, Confusion* confusion) {
  model.eval();
  return evaluate_logits(
      [&model](const Tensor& images) {
        const ag::Var features = model.features(images);
        std::vector<Tensor> logits;
        for (const ag::Var& head : model.heads(features)) logits.push_back(head.value());
        if (logits.size() > 1) logits.insert(logits.begin(), model.classify(features).value());
        return logits;
      },
      loader, tick, confusion);
}

Scores evaluate(const FeatureOf& logits_of, data::Loader& loader, const Tick& tick, Confusion* confusion) {
  return evaluate_logits([&](const Tensor& images) { return std::vector{logits_of(images)}; }, loader, tick, confusion);
}

}  // namespace vitrail::recipes
