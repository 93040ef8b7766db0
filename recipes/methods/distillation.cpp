#include "vitrail/recipes/methods/distillation.h"

#include "vitrail/core/error.h"
#include "vitrail/data/sources/class_match.h"
#include "vitrail/nn/losses/distillation.h"

#include <algorithm>

namespace vitrail::recipes {
namespace {

using Teaching = DistillationConfig::Kind;
constexpr Named<Teaching> kKinds[] = {{"none", Teaching::none}, {"soft", Teaching::soft}, {"hard", Teaching::hard}};
constexpr Named<ag::KlNorm> kNorms[] = {{"batch", ag::KlNorm::batch}, {"elements", ag::KlNorm::elements}};

}  // namespace

void DistillationConfig::describe(Fields& f) {
  f("kind", kind, "target from a teacher: soft: its probabilities; hard: its decisions; none: no teacher", kKinds);
  f("teacher", teacher, "soft, hard: run, checkpoint or published model with the same classes", is_path());
  f("alpha", alpha, "weight of the teacher in the loss; the labels have the rest", between(0, 1));
  f("tau", tau, "soft: temperature of both distributions", positive());
  f("norm", norm,
    "soft: divisor of the divergence: batch: images; elements: images times classes; null: elements with "
    "compat: deit, else batch",
    kNorms);
}

Distillation::Distillation(const DistillationConfig& config, const DataConfig& student,
                           const std::vector<std::string>& classes, const PublishedOptions& options)
    : config_(config) {
  check<ConfigError>(!config.teacher.empty(), "distillation.teacher",
                     "kind {} needs a teacher: distillation.teacher=RUN, the folder or a checkpoint of a run",
                     config.kind == Teaching::hard ? "hard" : "soft");
  teacher_ = open_model(config.teacher, {}, options);
  expect_classes(teacher_, "distillation.teacher");
  const data::ClassMatch match = data::match_classes(
      "distillation.teacher", {.owner = student.root, .names = classes, .count = int64_t(classes.size())},
      class_list(teacher_));
  if (!match.note.empty()) note_ = "[distillation.teacher] " + match.note;
  if (!match.same) outputs_ = tensor(match.to, {int64_t(match.to.size())});
  const Preprocessing& p = teacher_.preprocessing;
  if (std::equal(p.mean.begin(), p.mean.end(), student.mean.begin()) &&
      std::equal(p.std.begin(), p.std.end(), student.std.begin()))
    return;
  factor_ = Tensor::empty({3, 1, 1});
  offset_ = Tensor::empty({3, 1, 1});
  for (size_t c = 0; c < 3; ++c) {
    factor_.span<float>()[c] = float(student.std[c] / p.std[c]);
    offset_.span<float>()[c] = float((student.mean[c] - p.mean[c]) / p.std[c]);
  }
}

Tensor Distillation::teach(const Tensor& images) {
  const ag::NoGrad no_grad;
  Tensor logits = teacher_.classify(factor_.defined() ? core::add(core::mul(images, factor_), offset_) : images);
  if (!outputs_.defined()) return logits;
  return core::embedding(logits.transpose(0, 1).contiguous(), outputs_).transpose(0, 1).contiguous();
}

ag::Var Distillation::distill(const ag::Var& student, const Tensor& teacher) const {
  if (config_.kind == Teaching::hard) return nn::hard_distillation(student, teacher);
  return nn::soft_distillation(student, teacher, config_.tau, config_.norm.value_or(ag::KlNorm::batch));
}

ag::Var Distillation::total(const ag::Var& base, const ag::Var& distilled) const {
  return base * (1 - config_.alpha) + distilled * config_.alpha;
}

}  // namespace vitrail::recipes
