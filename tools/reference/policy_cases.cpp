#include "tools/reference/attributes.h"
#include "tools/reference/error_measure.h"
#include "tools/reference/reference_case.h"
#include "vitrail/core/error.h"
#include "vitrail/data/augment/rand_augment.h"

namespace vitrail::reference {

namespace {

using hdf5::Reader;

std::string last_part(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// The argument of the operation that the dataset is named after, at the magnitudes of the group.
Outcome run_levels(const Reader& file, const std::string& path, DType) {
  constexpr std::string_view kNegated = "_negated";
  const std::string group = path.substr(0, path.rfind('/'));
  const Attributes a(file, group);
  std::string name = last_part(path);
  const bool negated = name.ends_with(kNegated);
  if (negated) name.resize(name.size() - kNegated.size());
  const data::PolicyOp& op = data::policy_op(name);
  const auto magnitudes = a.numbers("magnitudes"), expected = file.read(path).to_vector();
  check<IoError>(magnitudes.size() == expected.size(), "levels", "{} has {} values for {} magnitudes", path,
                 expected.size(), magnitudes.size());
  Outcome outcome;
  for (size_t i = 0; i < expected.size(); ++i)
    outcome.add(std::abs(op.argument_at(magnitudes[i], negated) - expected[i]), 1e-12 * (1 + std::abs(expected[i])));
  return outcome;
}

/// The meaning of the configuration in the group's name.
Outcome run_config(const Reader& file, const std::string& path, DType) {
  const Attributes a(file, path);
  const data::RandAugment augment(data::parse_rand_augment(last_part(path)));
  const data::RandAugment::Config& c = augment.config();
  Outcome outcome;
  const auto compare = [&](const char* name, double got) { outcome.add(std::abs(got - a(name)), 0); };
  compare("magnitude", c.magnitude);
  compare("magnitude_std", c.magnitude_std);
  compare("magnitude_max", c.max_magnitude);
  compare("num_layers", c.layers);
  compare("prob", c.probability);
  compare("with_replacement", 1);
  std::vector<std::string> names;
  for (const data::PolicyOp* op : augment.operations()) names.emplace_back(op->name);
  outcome.add(names == a.lines("operations") ? 0 : 1, 0);
  return outcome;
}

}  // namespace

std::vector<CaseKind> policy_kinds() {
  return {{"rand_augment_levels/", run_levels}, {"rand_augment_configs/", run_config}};
}

}  // namespace vitrail::reference
