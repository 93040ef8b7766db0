// Self-distillation without labels: a student learns to predict the outputs of its own moving average, the teacher, on
// other views of the same image. The settings that its methods (DINO, DINOv2) share.
#pragma once

#include "vitrail/data/augment/multi_crop.h"
#include "vitrail/nn/models/dino_network.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/build/build_model.h"
#include "vitrail/recipes/build/build_optimizer.h"
#include "vitrail/recipes/build/train_keys.h"
#include "vitrail/recipes/run/recipe.h"

#include <memory>
#include <vector>

namespace vitrail::recipes {

/// The keys that DINO and its successors share: views, head, teacher, schedule and evaluation.
struct SelfDistillationConfig : RecipeConfig {
  std::string init;
  std::vector<std::string> accept_keys;
  struct Adapt {
    bool defaults = true;
    int64_t head_epochs = 0;

    void describe(Fields& f);
  } adapt;
  ModelConfig model;
  LoraSection lora;
  DataConfig data;  // without the keys of augmentation
  struct Crops {
    std::vector<double> global_scale{0.4, 1}, local_scale{0.05, 0.4};
    int64_t local_number = 8;
    int64_t local_size = 96;
    double hflip = 0.5;
    std::vector<double> color_jitter{0.4, 0.4, 0.2, 0.1};
    double color_jitter_prob = 0.8, gray_prob = 0.2;
    std::vector<double> global_blur{1, 0.1};
    double local_blur = 0.5;
    std::vector<double> blur_sigma{0.1, 2};
    double solarize_prob = 0.2;

    void describe(Fields& f);
  } crops;
  struct Head {
    int64_t out_dim = 65536, hidden_dim = 2048, bottleneck_dim = 256;
    bool use_bn = false;
    bool norm_last_layer = true;

    void describe(Fields& f);
  } head;
  struct Teacher {
    double momentum = 0.996;
    double temp = 0.04, warmup_temp = 0.04;
    int64_t warmup_epochs = 0;
    double center_momentum = 0.9;

    void describe(Fields& f);
  } teacher;
  struct Schedule {
    ScheduleKind name = ScheduleKind::cosine;
    double warmup_epochs = 10;
    double min_lr = 1e-6;

    void describe(Fields& f);
  } schedule;
  struct Train : TrainKeys {
    double student_temp = 0.1;
    int64_t freeze_last_layer = 1;

    Train();
    void describe(Fields& f);
  } train;
  struct Eval {
    int64_t every = 1;
    int64_t knn_k = 20;
    double knn_temp = 0.07;
    int64_t linear_epochs = 0;
    std::string patch;
    bool baselines = true;

    void describe(Fields& f);
  } eval;

  SelfDistillationConfig() { lora.train.clear(); }  // the backbone has no classifier; the heads are always trained
  /// The defaults of a run that begins with weights: see settle_adaptation.
  std::vector<std::string> settle(Config& config) override;
  Sections sections() const override { return {data, train.batch_size, false}; }
  void open(const TensorMap& state, OpenModel& opened) const override;
  Adapters adapters() const override { return {&lora, init}; }
  /// All views of each image, one after the other.
  Preview preview(int64_t count) const override;
  std::unique_ptr<nn::Backbone> build_backbone(const nn::Scope& scope, int64_t num_classes) const override {
    return build_model(scope, model, data.img_size, num_classes);
  }

 protected:
  /// The sections before `optim`, and those after it.
  void describe_networks(Fields& f);
  void describe_course(Fields& f);
};

/// Steps before a warning of collapse: at first all outputs look the same.
inline constexpr int64_t kStepsBeforeWarning = 500;

/// Makes the student's backbone of a recipe, and the teacher's, which has no dropout.
nn::MakeBackbone student_maker(const SelfDistillationConfig& config);
nn::MakeBackbone teacher_maker(const SelfDistillationConfig& config);
/// The numbers of an evaluation that weights from elsewhere must not lose: see Plan::not_below_start.
std::vector<std::string> kept_numbers(const SelfDistillationConfig& config);
/// The head of the section `head`.
nn::DinoHeadConfig head_of(const SelfDistillationConfig& config);
/// Throws ConfigError for settings of the model and the views that do not fit each other.
void check_views(const SelfDistillationConfig& config, int64_t patch_size);

}  // namespace vitrail::recipes
