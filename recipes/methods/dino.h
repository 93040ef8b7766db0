// DINO: a student learns to predict the outputs of its own moving average, the teacher, on other views of the same
// image. It needs no labels. If the data has labels, k-NN on the teacher's features measures the progress. Source:
// Caron et al. 2021 (arXiv:2104.14294).
#pragma once

#include "vitrail/recipes/methods/self_distillation.h"

namespace vitrail::recipes {

class DinoStep;

struct DinoConfig final : SelfDistillationConfig {
  struct Optim {
    OptimizerKind name = OptimizerKind::adamw;
    double lr = 5e-4;
    std::optional<int64_t> lr_per_images = 256;
    std::vector<double> weight_decay{0.04, 0.4};
    std::vector<double> betas{0.9, 0.999};
    double eps = 1e-8;
    double momentum = 0.9;
    double clip_grad = 3;
    double layer_decay = 1;

    void describe(Fields& f);
    /// The same settings for recipes::OptimConfig.
    OptimConfig optimizer() const;
  } optim;

  void describe(Fields& f) override;
  // These two are defined in dino_recipe.cpp.
  std::unique_ptr<Recipe> build() const override;
  /// Student, teacher and optimizer, without data.
  std::unique_ptr<DinoStep> build_step() const;
};

}  // namespace vitrail::recipes
