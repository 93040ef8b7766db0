#include "tools/reference/attributes.h"
#include "tools/reference/error_measure.h"
#include "tools/reference/reference_case.h"
#include "vitrail/recipes/eval/evaluate.h"
#include "vitrail/recipes/eval/knn.h"

#include <algorithm>

namespace vitrail::reference {

namespace {

/// The percentage of places below n.
double accuracy(const std::vector<int64_t>& places, int64_t n) {
  const auto right = std::count_if(places.begin(), places.end(), [n](int64_t place) { return place < n; });
  return 100 * double(right) / double(places.size());
}

/// Votes and top-1; top-5 within a range, because classes without a vote may come in any order.
Outcome run_knn(const hdf5::Reader& file, const std::string& path, DType dtype) {
  const Attributes a(file, path);
  const TensorMap inputs = read_group(file, path + "/inputs", dtype);
  const Tensor votes =
      recipes::knn_votes(inputs.at("train_features"), inputs.at("train_labels"), inputs.at("test_features"),
                         a.integer("num_classes", 0), {.k = a.integer("k", 0), .temperature = a("T")});
  const std::string outputs = path + "/outputs/";
  Outcome outcome;
  outcome.add(relative_error(votes, file.read(outputs + "scores_f64")), kForward.of(dtype));
  if (dtype == DType::f32) outcome.add(relative_error(votes, file.read(outputs + "scores")), kForward.f32);

  constexpr double kRounding = 1e-9;  // of percents
  const int64_t five = std::min<int64_t>(5, a.integer("k", 0));
  const auto places = recipes::label_places(votes, inputs.at("test_labels"), 5);
  const double top1 = accuracy(places, 1), top5 = accuracy(places, five);
  outcome.add(std::abs(top1 - file.read(outputs + (dtype == DType::f64 ? "top1_f64" : "top1")).item()), kRounding);
  outcome.add(std::max({0.0, a("top5_min") - top5, top5 - a("top5_max")}), kRounding);
  return outcome;
}

}  // namespace

std::vector<CaseKind> knn_kinds() { return {{"k", run_knn}}; }

}  // namespace vitrail::reference
