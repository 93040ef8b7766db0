#include "vitrail/data/load/batch_maker.h"

#include "vitrail/core/error.h"

#include <string>

namespace vitrail::data {

const Tensor& Batch::operator[](std::string_view name) const {
  if (const auto found = tensors.find(name); found != tensors.end()) return found->second;
  std::string names;
  for (const auto& [known, tensor] : tensors) names += (names.empty() ? "" : ", ") + known;
  fail<DataError>("batch", "there is no tensor '{}'; this batch has: {}", name, names);
}

}  // namespace vitrail::data
