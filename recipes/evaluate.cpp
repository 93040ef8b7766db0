#include "recipes/evaluate.h"

#include "core/ops.h"
#include "nn/backbone.h"

#include <algorithm>

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

Stats Scores::stats() const {
  const double count = double(all.pictures);
  return {{"loss", loss}, {"top1", double(all.top1) / count}, {"top5", double(all.top5) / count}};
}

Scores evaluate(nn::Backbone& model, data::Loader& loader, const Tick& tick) {
  model.eval();
  Scores scores;
  scores.classes.resize(size_t(model.num_classes()));
  for (int64_t done = 0; const auto batch = loader.next();) {
    const Tensor logits = model.logits(batch->images).value();
    const auto labels = batch->labels.span<int64_t>();
    scores.loss += double(labels.size()) * core::cross_entropy(logits, batch->labels, {}).loss.item();
    const std::vector<int64_t> places = label_places(logits, batch->labels, 5);
    for (size_t i = 0; i < places.size(); ++i)
      for (ClassScore* score : {&scores.all, &scores.classes.at(size_t(labels[i]))}) {
        ++score->pictures;
        score->top1 += places[i] < 1;
        score->top5 += places[i] < 5;
      }
    tick(++done, loader.batches_per_epoch());
  }
  scores.loss /= double(scores.all.pictures);
  return scores;
}

}  // namespace vitrail::recipes
