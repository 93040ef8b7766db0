#include "vitrail/recipes/eval/top_classes.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"

#include <algorithm>

namespace vitrail::recipes {

std::vector<std::vector<ClassProbability>> top_classes(const Tensor& logits, const std::vector<std::string>& names,
                                                       int64_t k) {
  check<ShapeError>(logits.rank() == 2 && (names.empty() || int64_t(names.size()) == logits.size(1)), "top_classes",
                    "logits are {}, there are {} names", logits.shape(), names.size());
  const auto best = core::topk(core::softmax(logits.to(DType::f32)), std::min(k, logits.size(1)));
  const auto values = best.values.span<float>();
  const auto outputs = best.indices.span<int64_t>();
  const auto shown = size_t(best.values.size(1));
  std::vector<std::vector<ClassProbability>> rows(size_t(logits.size(0)));
  for (size_t i = 0; i < outputs.size(); ++i) {
    const int64_t output = outputs[i];
    rows[i / shown].push_back(
        {output, names.empty() ? std::to_string(output) : names[size_t(output)], double(values[i])});
  }
  return rows;
}

}  // namespace vitrail::recipes
