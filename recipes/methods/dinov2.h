// DINOv2: DINO on class tokens, iBOT on masked patches, and KoLeo, which keeps features apart. Source: Oquab et al.
// 2023 (arXiv:2304.07193).
#pragma once

#include "vitrail/recipes/methods/dinov2_step.h"
#include "vitrail/recipes/methods/self_distillation.h"

namespace vitrail::recipes {

struct Dinov2Config final : SelfDistillationConfig {
  Dinov2Options::Centering centering = Dinov2Options::Centering::centering;
  struct Masks {
    double probability = 0.5;
    std::vector<double> ratio{0.1, 0.5};

    void describe(Fields& f);
  } masks;
  struct Ibot {
    double weight = 1;
    bool separate_head = false;
    int64_t out_dim = 65536, bottleneck_dim = 256;  // of a separate head

    void describe(Fields& f);
  } ibot;
  struct Koleo {
    double weight = 0.1;
    int64_t group = 0;

    void describe(Fields& f);
  } koleo;
  struct Distill {
    std::string teacher;

    void describe(Fields& f);
  } distillation;
  struct Optim {
    double lr = 4e-3;
    std::optional<int64_t> lr_per_images = 1024;
    std::vector<double> weight_decay{0.04, 0.4};
    std::vector<double> betas{0.9, 0.999};
    double eps = 1e-8;
    double clip_grad = 3;
    double layer_decay = 0.9;
    double patch_embed_lr = 0.2;

    void describe(Fields& f);
    /// The highest learning rate: lr, or lr sqrt(batch_size / lr_per_images).
    double peak_lr(int64_t batch_size) const;
  } optim;

  /// Other defaults than DINO's.
  Dinov2Config();
  void describe(Fields& f) override;
  std::vector<std::string> settle(Config& config) override;
  // These two are defined in dinov2_recipe.cpp.
  std::unique_ptr<Recipe> build() const override;
  /// Student, teachers and optimizer, without data. Throws also as open_frozen_teacher.
  std::unique_ptr<Dinov2Step> build_step() const;
};

}  // namespace vitrail::recipes
