// The evaluation of self-distillation: k-NN and a linear classifier on the teacher's features, and signs of collapse.
#pragma once

#include "vitrail/recipes/eval/features.h"
#include "vitrail/recipes/eval/patch_measure.h"
#include "vitrail/recipes/methods/dino_data.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::recipes {

/// Evaluates a teacher on the data of its run. With labels, the score is the accuracy of k-NN; without, only the signs
/// of collapse are measured.
class TeacherEvaluation final {
 public:
  /// The teacher's targets for features [N, D]: [N, K].
  using TargetsOf = std::function<Tensor(const Tensor& features)>;
  /// All arguments outlive it. say: takes messages for the user; the first are those of the data. Throws as CutOuts for
  /// eval.patch.
  TeacherEvaluation(const SelfDistillationConfig& config, DinoData& images, nn::Backbone& teacher, TargetsOf targets_of,
                    std::function<void(std::string)> say);

  /// Throws as Recipe::evaluate.
  Evaluation operator()(const Tick& tick);
  /// For Recipe::next_commands.
  std::vector<std::string> next_commands(const std::string& run) const;

  /// The scores of a network with random weights and of the pixels, found by the first evaluation.
  std::map<std::string, double> baselines;

 private:
  Stats patch_stats(const Tick& tick) const;
  PatchScore patch_score(const PatchFeatureOf& feature_of, const Tick& tick) const;
  FeatureSet last_columns(const FeatureSet& set) const;
  double knn(const FeatureSet& train, const FeatureSet& val) const;
  Stats signs_of(const FeatureSet& set) const;
  void find_baselines(const Tick& tick);

  const SelfDistillationConfig& config_;
  DinoData& images_;
  nn::Backbone& teacher_;
  const TargetsOf targets_of_;
  const std::function<void(std::string)> say_;
  std::optional<CutOuts> cut_outs_;  // of eval.patch
};

}  // namespace vitrail::recipes
