#include "vitrail/recipes/models/model_card.h"

#include "vitrail/nn/summary.h"

namespace vitrail::recipes {

ModelCard model_card(nn::Backbone& model, int64_t img_size) {
  model.eval();
  const auto rows = nn::summarize([&] {
    nn::SummaryEntry whole(model);
    whole.finish(model.logits(zeros({1, 3, img_size, img_size}), nn::Compute::all).shape());
  });
  return {.name = {},
          .table = nn::to_table(rows, 2),
          .parameters = model.parameter_count(),
          .flops = 2 * rows.front().macs};
}

}  // namespace vitrail::recipes
