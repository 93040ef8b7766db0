// The `distillation:` section of a recipe: a teacher, and the loss that it adds to the loss of the labels.
#pragma once

#include "vitrail/autograd/ops.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/config/fields.h"
#include "vitrail/recipes/models/open_model.h"

#include <memory>
#include <optional>
#include <string>

namespace vitrail::recipes {

struct DistillationConfig {
  enum class Kind { none, soft, hard } kind = Kind::none;
  std::string teacher;
  double alpha = 0.5;
  double tau = 1;
  std::optional<ag::KlNorm> norm;

  void describe(Fields& f);
  /// Whether there is a teacher.
  bool on() const { return kind != Kind::none; }
};

/// (1 - alpha) base + alpha distill, where distill compares the student with a frozen teacher on the same pixels.
/// Source: Touvron et al. 2021 (arXiv:2012.12877), eq. 2 (soft, whose tau^2 and alpha are theirs) and 3 (hard).
class Distillation {
 public:
  /// Opens the teacher. student: the data that the teacher will see; classes: the names of its K classes. options: for
  /// a published teacher. Throws ConfigError if there is no teacher or it is no classifier; DataError as
  /// data::match_classes if it has other classes; otherwise as open_model.
  Distillation(const DistillationConfig& config, const DataConfig& student, const std::vector<std::string>& classes,
               const PublishedOptions& options = {});

  /// How its classes were matched, if not by name; else empty.
  const std::string& note() const { return note_; }
  /// The teacher's logits [B, K] for the classes of the data on the student's input [B, 3, H, W], in evaluation mode
  /// and without a tape. If the teacher was trained with another mean and deviation, the pixels are normalised again
  /// for it.
  Tensor teach(const Tensor& images);
  /// The distillation loss of student logits [B, K], a scalar.
  ag::Var distill(const ag::Var& student, const Tensor& teacher) const;
  /// (1 - alpha) base + alpha distilled.
  ag::Var total(const ag::Var& base, const ag::Var& distilled) const;

 private:
  DistillationConfig config_;
  OpenModel teacher_;
  std::string note_;
  Tensor outputs_;          // i64 [K]: the teacher's output for each class; undefined if they are the same
  Tensor factor_, offset_;  // [3, 1, 1]: from the student's normalisation to the teacher's; undefined if they are equal
};

}  // namespace vitrail::recipes
