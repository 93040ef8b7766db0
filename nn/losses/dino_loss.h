// DINO's loss: the student's output for each view against the teacher's for the other views, sharpened and centred.
#pragma once

#include "vitrail/autograd/ops.h"

namespace vitrail::nn {

/// The running mean of the teacher's scores, 0 at the start. Subtracting it keeps one prototype from winning
/// everywhere; the low temperature keeps all prototypes from being equal. Source: Caron et al. 2021 (arXiv:2104.14294),
/// eq. 4.
class DinoCenter final {
 public:
  explicit DinoCenter(int64_t out_dim, double momentum = 0.9, DType dtype = DType::f32)
      : value_(zeros({1, out_dim}, dtype)), momentum_(momentum) {}

  /// softmax((scores - center) / temp). Shape: [N, K] -> [N, K].
  Tensor targets(const Tensor& scores, double temp) const;
  /// center = momentum center + (1 - momentum) mean of scores over its rows. Call it after targets(): a batch is
  /// centred by the batches before it.
  void update(const Tensor& scores) { update_by_mean(core::mean(scores, {0}, /*keepdim=*/true)); }
  /// The same with the mean [1, K], for scores in several parts.
  void update_by_mean(const Tensor& mean);

  /// [1, K]. Shares its elements, so the next update changes them.
  const Tensor& value() const { return value_; }
  /// Copies the value. Throws ShapeError for another shape.
  void set(const Tensor& value);

 private:
  Tensor value_;
  double momentum_;
};

/// The cross-entropy between a view of the teacher and another view of the student at temperature temp, averaged over
/// the batch and over all such pairs of views.
/// Shape:  student [V B, K] scores, targets [T B, K] probabilities -> scalar; both view by view, 2 <= T <= V. The
///         teacher sees the first T views of the student.
/// Throws: ShapeError if sizes do not fit.
/// Source: Caron et al. 2021 (arXiv:2104.14294), eq. 3.
ag::Var dino_loss(const ag::Var& student, const Tensor& targets, int64_t views, int64_t teacher_views, double temp);

/// The same average over all pairs of a view of the teacher and a view of the student, for views that the teacher does
/// not see.
/// Shape:  student [V B, K] scores, targets [T B, K] probabilities -> scalar; both view by view.
/// Throws: ShapeError if sizes do not fit.
ag::Var dino_local_loss(const ag::Var& student, const Tensor& targets, int64_t views, int64_t teacher_views,
                        double temp);

}  // namespace vitrail::nn
