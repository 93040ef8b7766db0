// DinoStep: one update of DINO's student and teacher, as in the paper's algorithm 1, with the reference code's rules.
#pragma once

#include "vitrail/nn/losses/dino_loss.h"
#include "vitrail/nn/models/dino_network.h"
#include "vitrail/optim/optimizer.h"
#include "vitrail/recipes/run/recipe.h"

#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace vitrail::recipes {

struct DinoOptions {
  int64_t views = 10;  // of an image: two global ones, then the local ones
  nn::DinoHeadConfig head;
  double student_temp = 0.1;
  double center_momentum = 0.9;
  double clip_grad = 3;           // largest norm of each parameter's gradient; 0: no clipping
  int64_t freeze_last_layer = 1;  // epochs in which the prototypes stay as they are
};

/// What of a step varies with time besides At.
struct DinoAt {
  double teacher_temp = 0.04;
  double teacher_momentum = 0.996;
};

class DinoStep final {
 public:
  static constexpr int64_t kGlobalViews = 2;

  /// The teacher starts as a copy of the student. student and teacher differ in what is random in a backbone: the
  /// teacher has no stochastic depth.
  DinoStep(const nn::Scope& scope, const nn::MakeBackbone& student, const nn::MakeBackbone& teacher,
           const DinoOptions& options);

  /// DINO's groups: all but vectors and biases are decayed, tokens and positions too; frozen ones are in none.
  std::vector<optim::ParamGroup> param_groups();
  /// Before the first update. Its parameters are those of param_groups().
  void set_optimizer(std::unique_ptr<optim::Optimizer> optimizer) { optimizer_ = std::move(optimizer); }

  struct Result {
    double loss = 0;
    std::vector<double> grad_norms;        // before clipping, in the order of student.parameters()
    Tensor teacher_features;               // [2 B, feature_dim]
    Tensor teacher_scores, teacher_probs;  // [2 B, K]: as the head gives them; sharpened and centred
  };
  /// crops: by size, the two global views first; see nn::DinoNetwork.
  /// Throws: NumericError, with the weights as before, if the loss or a gradient is not finite; ShapeError if crops do
  /// not make options.views views.
  Result operator()(std::span<const Tensor> crops, const At& at, const DinoAt& now);

  /// "student/...", "teacher/...", "optimizer/...", "center". Shares the elements.
  TensorMap state() const;
  void load_state(const TensorMap& state);

  const DinoOptions options;
  nn::DinoNetwork student, teacher;
  nn::DinoCenter center;

 private:
  std::unique_ptr<optim::Optimizer> optimizer_;
};

}  // namespace vitrail::recipes
