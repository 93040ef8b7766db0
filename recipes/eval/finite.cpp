#include "vitrail/recipes/eval/finite.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"

namespace vitrail::recipes {

void expect_finite(const Tensor& rows, std::string_view op, const std::function<std::string(int64_t)>& name) {
  if (core::all_finite(rows)) return;
  for (int64_t i = 0; i < rows.size(0); ++i)
    check<NumericError>(core::all_finite(rows.slice(0, i, i + 1)), op, "{}: the result has a NaN or an infinity",
                        name(i));
}

}  // namespace vitrail::recipes
