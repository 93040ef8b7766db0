// DinoStep: one update of DINO's student and teacher: algorithm 1 of the paper, with the rules of the reference code.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/nn/losses/dino_loss.h"
#include "vitrail/nn/models/dino_network.h"
#include "vitrail/optim/optimizer.h"
#include "vitrail/optim/update.h"

#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace vitrail::recipes {

using optim::At;

struct DinoOptions {
  int64_t views = 10;  // per image: two global ones, then the local ones
  nn::DinoHeadConfig head;
  double student_temp = 0.1;
  double center_momentum = 0.9;
  double clip_grad = 3;           // largest norm of each parameter's gradient; 0: no clipping
  int64_t freeze_last_layer = 1;  // epochs in which the prototypes do not change
  int64_t head_epochs = 0;        // epochs at the start in which the backbones do not change
  double layer_decay = 1;         // rate of each block relative to the next one
};

/// The values of a step that vary with time, besides those in At.
struct DinoAt {
  double teacher_temp = 0.04;
  double teacher_momentum = 0.996;
};

/// Student, teacher, center and optimizer, and one step of DINO on them. Caron et al. 2021 (arXiv:2104.14294).
class DinoStep final {
 public:
  static constexpr int64_t kGlobalViews = 2;

  /// Builds the optimizer for DINO's groups: all parameters are decayed but vectors and biases; tokens and positions
  /// are decayed too.
  using MakeOptimizer = std::function<std::unique_ptr<optim::Optimizer>(const std::vector<optim::ParamGroup>& groups)>;

  /// The teacher starts as a copy of the student. The two backbones may differ in their random parts: the teacher has
  /// no stochastic depth.
  DinoStep(const nn::Scope& scope, const nn::MakeBackbone& student, const nn::MakeBackbone& teacher,
           const MakeOptimizer& optimizer, const DinoOptions& options);

  struct Result {
    double loss = 0;
    optim::GradNorms grad_norms;           // of student.parameters(), before clipping
    Tensor teacher_features;               // [2 B, feature_dim]
    Tensor teacher_scores, teacher_probs;  // [2 B, K]: output of the head; sharpened and centred
    std::vector<double> numbers;           // means over the shards
  };
  /// Numbers of a shard, from its teacher's outputs in a Result.
  using NumbersOf = std::function<std::vector<double>(const Result&)>;
  /// crops: one tensor per size, the two global views first; see nn::DinoNetwork.
  /// Throws: NumericError, with the weights as before, if the loss or a gradient is not finite; ShapeError if crops
  /// do not have options.views views.
  Result operator()(std::span<const Tensor> crops, const At& at, const DinoAt& now);
  /// The same for a batch in shards, those that this rank has. The teacher's outputs are those of the last one.
  Result operator()(std::span<const std::vector<Tensor>> shards, const At& at, const DinoAt& now,
                    const NumbersOf& numbers_of = {});

  /// "student/...", "teacher/...", "optimizer/...", "center". Shares the elements.
  TensorMap state() const;
  /// Bytes that state() still grows by until every parameter has been updated.
  int64_t missing_bytes() const { return optimizer_->missing_bytes(); }
  /// Copies the centre of a state().
  void set_centers(const TensorMap& state);
  /// Copies a state() back.
  void load_state(const TensorMap& state);

  const DinoOptions options;
  nn::DinoNetwork student, teacher;
  nn::DinoCenter center;

 private:
  const std::vector<ag::Parameter*> backbone_;  // the trained parameters of the student's
  const std::unique_ptr<optim::Optimizer> optimizer_;
};

/// ema_update() of all parameters but those that the student's backbone does not train at this time: they are equal in
/// both networks and stay so to the last bit. The first `backbone` parameters of each network are its backbone's.
void average_student(std::span<ag::Parameter* const> teacher, std::span<ag::Parameter* const> student, size_t backbone,
                     double momentum);

}  // namespace vitrail::recipes
