#include "tools/reference/reference_case.h"

#include "tools/reference/error_measure.h"
#include "vitrail/core/error.h"

namespace vitrail::reference {

TensorMap read_group(const hdf5::Reader& file, const std::string& path, DType dtype) {
  TensorMap tensors;
  for (const std::string& name : file.names(path)) {
    const Tensor t = file.read(path + "/" + name);
    tensors[name] = is_floating(t.dtype()) ? t.to(dtype) : t;
  }
  return tensors;
}

void Outcome::add(double error, double tolerance) {
  failed_ = failed_ || !(error <= tolerance);  // true for NaN too, with which no ratio can be compared
  // Compares the ratios error / tolerance without a division: tolerances may be 0.
  const double now = error * tolerance_, before = worst_ * tolerance;
  if (compared_ && (now < before || (now == before && error <= worst_))) return;
  compared_ = true;
  worst_ = error;
  tolerance_ = tolerance;
}

void Outcome::compare(const TensorMap& got, const hdf5::Reader& file, const std::string& path, DType dtype,
                      Tolerance tolerance, std::string_view noise) {
  const bool has_f64 = file.contains(path + "_f64");
  if (has_f64) compare_group(got, file, path + "_f64", tolerance.of(dtype), dtype == DType::f64 ? "" : noise);
  if (!has_f64 || dtype != DType::f64) compare_group(got, file, path, tolerance.f32, noise);
}

void Outcome::compare_group(const TensorMap& got, const hdf5::Reader& file, const std::string& path, double tolerance,
                            std::string_view noise) {
  const TensorMap expected = read_group(file, path, DType::f64);
  double group_max = 0;
  for (const auto& [name, t] : expected) group_max = std::max(group_max, max_magnitude(t));
  for (const auto& [name, t] : expected) {
    if (!noise.empty() && name.ends_with(noise)) continue;
    const auto found = got.find(name);
    check<IoError>(found != got.end(), "compare", "{} expects '{}', which was not computed", path, name);
    add(relative_error(found->second, t, group_max), tolerance);
  }
}

namespace {

/// Whether a whole group is one case. A group with statistics of draws also has the first draws; an empty group has
/// only attributes.
bool is_case(const hdf5::Reader& file, const std::string& group) {
  if (file.names(group).empty()) return true;
  for (const char* name : {"inputs", "outputs", "params", "first_20_draws"})
    if (file.contains(group + "/" + name)) return true;
  return false;
}

/// Appends the paths of the cases in and below a group. Skips "images", the inputs of image operations.
void find_cases(const hdf5::Reader& file, const std::string& path, std::vector<std::string>& cases) {
  const auto below = [&](const std::string& name) { return path.empty() ? name : path + "/" + name; };
  if (!path.empty() && (!file.is_group(path) || is_case(file, path))) {
    cases.push_back(path);
    return;
  }
  for (const std::string& name : file.names(path))
    if (below(name) != "images") find_cases(file, below(name), cases);
}

const RunCase* find_run(const std::vector<CaseKind>& kinds, const std::string& path) {
  const CaseKind* best = nullptr;
  for (const CaseKind& kind : kinds)
    if (path.starts_with(kind.prefix) && (best == nullptr || kind.prefix.size() > best->prefix.size())) best = &kind;
  return best == nullptr ? nullptr : &best->run;
}

}  // namespace

std::vector<ReferenceCase> reference_cases(const hdf5::Reader& file) {
  std::vector<CaseKind> kinds;
  for (const auto& some : {optim_kinds(), loss_kinds(), image_kinds(), color_kinds(), policy_kinds(), mix_kinds(),
                           vit_kinds(), deit_kinds(), clip_kinds(), dino_kinds(), dinov2_kinds(), knn_kinds()})
    kinds.insert(kinds.end(), some.begin(), some.end());
  std::vector<std::string> paths;
  find_cases(file, "", paths);
  std::vector<ReferenceCase> cases;
  for (const std::string& path : paths) {
    const RunCase* run = find_run(kinds, path);
    cases.push_back({path, run == nullptr ? RunCase() : *run});
  }
  return cases;
}

}  // namespace vitrail::reference
