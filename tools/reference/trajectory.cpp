#include "tools/reference/trajectory.h"

#include "vitrail/core/error.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace vitrail::reference {
namespace {

constexpr double kParameters = 2e-6;  // absolute, in f32: 99.9 % of all coordinates

/// A bias added to all keys cancels in the softmax, so its gradient is only rounding noise.
bool is_key_bias(const std::string& name, int64_t row, int64_t rows) {
  return name.ends_with("attn.qkv.bias") && row >= rows / 3 && row < 2 * rows / 3;
}

}  // namespace

void compare_parameters(Outcome& outcome, const nn::ModuleBase& model, const hdf5::Reader& file,
                        const std::string& path, DType dtype, double lr) {
  std::vector<double> differences;
  for (const ag::Parameter* p : model.parameters()) {
    const auto got = p->value().to_vector(), expected = file.read(path + "/" + p->name()).to_vector();
    check<IoError>(got.size() == expected.size(), "compare", "{}/{} has {} elements, {} are needed", path, p->name(),
                   expected.size(), got.size());
    for (size_t i = 0; i < got.size(); ++i)
      if (dtype == DType::f64 || !is_key_bias(p->name(), int64_t(i), int64_t(got.size())))
        differences.push_back(std::abs(got[i] - expected[i]));
  }
  std::sort(differences.begin(), differences.end());
  if (dtype == DType::f64) return outcome.add(differences.back(), kTrajectory.f64);
  outcome.add(differences[size_t(0.999 * double(differences.size() - 1))], kParameters);
  outcome.add(differences.back(), lr);
}

}  // namespace vitrail::reference
