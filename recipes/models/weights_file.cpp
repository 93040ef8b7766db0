#include "vitrail/recipes/models/weights_file.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace vitrail::recipes {
namespace {

bool is_usable(double value) { return std::abs(value) <= double(std::numeric_limits<float>::max()); }

/// "[3, 0]" of the element that comes at that place in row-major order.
std::string index_text(const Shape& shape, int64_t place) {
  std::vector<int64_t> index(size_t(shape.rank()));
  for (size_t axis = index.size(); axis-- > 0; place /= shape[int(axis)]) index[axis] = place % shape[int(axis)];
  std::string text;
  for (const int64_t i : index) text += (text.empty() ? "" : ", ") + std::to_string(i);
  return "[" + text + "]";
}

}  // namespace

void check_weight(const std::string& source, std::string_view name, std::string_view dtype, const Tensor& weight) {
  check<IoError>(is_floating(weight.dtype()), "load",
                 "{}: '{}' is of type {}; weights are F32, F16, BF16 or F64, and quantised models are not read", source,
                 name, dtype);
  if (core::all_finite(weight) && weight.dtype() != DType::f64) return;
  const std::vector<double> values = weight.to_vector();
  const auto bad = std::find_if_not(values.begin(), values.end(), is_usable);
  if (bad == values.end()) return;
  fail<IoError>("load", "{}: '{}' {} has {} at {}; every weight must be a finite f32", source, name, weight.shape(),
                *bad, index_text(weight.shape(), bad - values.begin()));
}

nn::Converted read_in_layout(const safetensors::Reader& file, const nn::Layout& layout,
                             const nn::Selection& selection) {
  const TensorMap theirs = file.read_all();
  nn::Converted converted = nn::from_layout(layout, theirs, selection);
  for (const std::string& name : converted.taken) check_weight(file.path(), name, file.dtype(name), theirs.at(name));
  return converted;
}

TensorMap read_own_names(const safetensors::Reader& file) {
  constexpr std::string_view kCounter = "num_batches_tracked";  // PyTorch's, of batch normalisation
  TensorMap weights = file.read_all();
  for (const auto& [name, t] : weights)
    if (!name.ends_with(kCounter)) check_weight(file.path(), name, file.dtype(name), t);
  return weights;
}

}  // namespace vitrail::recipes
