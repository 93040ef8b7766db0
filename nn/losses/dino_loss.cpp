#include "vitrail/nn/losses/dino_loss.h"

#include "vitrail/core/error.h"

namespace vitrail::nn {

Tensor DinoCenter::targets(const Tensor& scores, double temp) const {
  return core::softmax(core::affine(core::sub(scores, value_), 1 / temp));
}

void DinoCenter::update_by_mean(const Tensor& mean) { core::lerp_(value_, mean, 1 - momentum_); }

void DinoCenter::set(const Tensor& value) {
  check<ShapeError>(value.shape() == value_.shape(), "dino_center", "was given {}, needs {}", value.shape(),
                    value_.shape());
  value_.copy_(value);
}

ag::Var dino_loss(const ag::Var& student, const Tensor& targets, int64_t views, int64_t teacher_views, double temp) {
  check<ShapeError>(2 <= teacher_views && teacher_views <= views, "dino_loss",
                    "the teacher has {} views, the student {}; the teacher needs two, the student those and more",
                    teacher_views, views);
  const int64_t batch = targets.size(0) / teacher_views;
  check<ShapeError>(student.rank() == 2 && targets.shape() == Shape{teacher_views * batch, student.size(1)} &&
                        student.size(0) == views * batch,
                    "dino_loss", "student is {}, targets are {}; {} and {} views of one batch are needed",
                    student.shape(), targets.shape(), views, teacher_views);
  // Cross-entropy is linear in its target, so one product compares each student view with the sum of its teachers.
  const auto teachers_of = [&](int64_t v) {
    Tensor sum;
    for (int64_t q = 0; q < teacher_views; ++q) {
      if (q == v) continue;
      const Tensor view = targets.slice(0, q * batch, (q + 1) * batch);
      sum = sum.defined() ? core::add(sum, view) : view;
    }
    return sum;  // [B, K]
  };
  std::vector<Tensor> sums;
  for (int64_t v = 0; v < views; ++v) sums.push_back(v <= teacher_views ? teachers_of(v) : sums.back());
  const double pairs = double(teacher_views * (views - 1));
  return soft_cross_entropy(student * (1 / temp), core::concat(sums, 0)) * (double(views) / pairs);
}

ag::Var dino_local_loss(const ag::Var& student, const Tensor& targets, int64_t views, int64_t teacher_views,
                        double temp) {
  check<ShapeError>(views > 0 && teacher_views > 0 && student.rank() == 2 && targets.rank() == 2 &&
                        student.size(1) == targets.size(1) && student.size(0) % views == 0 &&
                        targets.size(0) * views == student.size(0) * teacher_views,
                    "dino_local_loss", "student is {}, targets are {}; {} and {} views of one batch are needed",
                    student.shape(), targets.shape(), views, teacher_views);
  const Tensor by_view = targets.reshape({teacher_views, targets.size(0) / teacher_views, targets.size(1)});
  const std::vector<Tensor> means(size_t(views), core::mean(by_view, {0}));
  return soft_cross_entropy(student * (1 / temp), core::concat(means, 0));
}

}  // namespace vitrail::nn
