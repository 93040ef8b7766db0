#include "vitrail/recipes/eval/evaluate.h"

#include "vitrail/core/ops.h"
#include "vitrail/nn/backbone.h"
#include "vitrail/recipes/eval/finite.h"

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

}  // namespace

Stats Scores::stats() const {
  const double count = double(all.images);
  Stats result = {{"loss", loss}, {"top1", double(all.top1) / count}, {"top5", double(all.top5) / count}};
  constexpr const char* kPrefixes[] = {"cls_", "dist_"};
  for (size_t i = 0; i < heads.size(); ++i)
    for (const auto& [name, value] : heads[i].stats()) result.emplace_back(kPrefixes[i] + name, value);
  return result;
}

Scores evaluate(nn::Backbone& model, data::Loader& loader, const Tick& tick, Confusion* confusion) {
  model.eval();
  Scores scores;
  for (int64_t done = 0; const auto batch = loader.next();) {
    const ag::Var features = model.features((*batch)["images"]);
    const std::vector<ag::Var> heads = model.heads(features);
    const Tensor logits = (heads.size() == 1 ? heads.front() : model.classify(features)).value();
    expect_finite(logits, "eval", [&](int64_t i) { return "image " + std::to_string(batch->indices[size_t(i)]); });
    add_scores(scores, logits, (*batch)["labels"]);
    if (confusion) add_confusion(*confusion, logits, (*batch)["labels"]);
    if (heads.size() > 1) {
      scores.heads.resize(heads.size());
      for (size_t i = 0; i < heads.size(); ++i) add_scores(scores.heads[i], heads[i].value(), (*batch)["labels"]);
    }
    tick(++done, loader.batches_per_epoch());
  }
  scores.loss /= double(scores.all.images);
  for (Scores& head : scores.heads) head.loss /= double(head.all.images);
  return scores;
}

}  // namespace vitrail::recipes
