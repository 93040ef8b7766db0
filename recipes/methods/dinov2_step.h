// Dinov2Step: one update of DINOv2's student and teacher, with the rules of the reference code.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/nn/losses/dino_loss.h"
#include "vitrail/nn/models/dinov2_network.h"
#include "vitrail/optim/optimizer.h"
#include "vitrail/optim/update.h"
#include "vitrail/recipes/methods/dino_step.h"

#include <memory>
#include <optional>
#include <span>

namespace vitrail::recipes {

struct Dinov2Options {
  /// How the teacher's scores become targets: centred by a running mean, or balanced over the batch.
  enum class Centering { centering, sinkhorn_knopp };

  int64_t views = 10;                           // per image: two global ones, then the local ones
  nn::DinoHeadConfig head;                      // of the class tokens
  std::optional<nn::DinoHeadConfig> ibot_head;  // of the patches; without it they share the other
  Centering centering = Centering::centering;
  double center_momentum = 0.9;
  double student_temp = 0.1;
  double ibot_weight = 1;
  double koleo_weight = 0.1;
  int64_t koleo_group = 0;        // images among which KoLeo looks for the nearest; 0: all of a view
  double clip_grad = 3;           // largest norm of the gradient of the backbone and of each head; 0: no clipping
  int64_t freeze_last_layer = 1;  // epochs in which the prototypes keep their values while their moments grow
  int64_t head_epochs = 0;        // epochs at the start in which the backbones do not change
  double layer_decay = 0.9;
  double patch_embed_lr = 0.2;  // factor of the learning rate of the patch embedding
};

/// Student, teacher, centres and optimizer, and one step of DINOv2 on them. Oquab et al. 2023 (arXiv:2304.07193).
class Dinov2Step final {
 public:
  static constexpr int64_t kGlobalViews = DinoStep::kGlobalViews;
  using MakeOptimizer = DinoStep::MakeOptimizer;

  /// The teacher starts as a copy of the student. Parameters are grouped by layer; all are decayed but vectors and
  /// biases. frozen: a network in evaluation mode whose outputs are the targets in place of the teacher's, which then
  /// is only the student's average; its heads have as many prototypes as the student's. It is no part of state().
  Dinov2Step(const nn::Scope& scope, const nn::MakeBackbone& student, const nn::MakeBackbone& teacher,
             const MakeOptimizer& optimizer, const Dinov2Options& options,
             std::unique_ptr<nn::Dinov2Network> frozen = nullptr);

  /// The terms of the loss with their weights, and their sum.
  struct Losses {
    double total = 0, dino_local = 0, dino_global = 0, koleo = 0, ibot = 0;
  };
  struct Result {
    Losses losses;
    optim::GradNorms grad_norms;           // of the backbone and of each head, before clipping
    Tensor teacher_features;               // class tokens [2 B, C]
    Tensor teacher_scores, teacher_probs;  // [2 B, K]: output of the head on them; targets
  };
  /// crops: one tensor a size: the two global views [2 B, 3, H, W], then the local ones, view by view. masks: u8 [2 B,
  /// N], the patches of global views that the student does not see. With a frozen teacher it sees all, and masks are
  /// the patches that count. Throws: NumericError, with the weights as before, if the loss or a gradient is not finite;
  /// ShapeError if crops do not have options.views views.
  Result operator()(std::span<const Tensor> crops, const Tensor& masks, const At& at, const DinoAt& now);

  /// "student/...", "teacher/...", "optimizer/...", "center", "ibot_center". Shares the elements.
  TensorMap state() const;
  /// Bytes that state() still grows by until every parameter has been updated.
  int64_t missing_bytes() const { return optimizer_->missing_bytes(); }
  /// Copies the centres of a state().
  void set_centers(const TensorMap& state);
  /// Copies a state() back.
  void load_state(const TensorMap& state);

  const Dinov2Options options;
  nn::Dinov2Network student, teacher;
  const std::unique_ptr<nn::Dinov2Network> frozen_teacher;  // or null
  nn::DinoCenter center, ibot_center;

 private:
  const std::vector<ag::Parameter*> backbone_;  // the trained parameters of the student's
  Tensor targets_of(const nn::DinoCenter& center, const Tensor& scores, double temp) const;

  const std::unique_ptr<optim::Optimizer> optimizer_;
};

}  // namespace vitrail::recipes
