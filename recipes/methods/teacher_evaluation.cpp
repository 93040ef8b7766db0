#include "vitrail/recipes/methods/teacher_evaluation.h"

#include "vitrail/core/ops.h"
#include "vitrail/recipes/eval/collapse.h"
#include "vitrail/recipes/eval/evaluate.h"
#include "vitrail/recipes/eval/image_retrieval.h"
#include "vitrail/recipes/eval/knn.h"
#include "vitrail/recipes/eval/linear_probe.h"

#include <algorithm>
#include <utility>

namespace vitrail::recipes {
namespace {

constexpr int64_t kSignImages = 2048;  // images that an evaluation checks for collapse
constexpr int64_t kProbeBlocks = 4;    // whose class tokens the linear classifier reads

}  // namespace

TeacherEvaluation::TeacherEvaluation(const SelfDistillationConfig& config, DinoData& images, nn::Backbone& teacher,
                                     TargetsOf targets_of, std::function<void(std::string)> say)
    : config_(config), images_(images), teacher_(teacher), targets_of_(std::move(targets_of)), say_(std::move(say)) {
  if (!images_.labelled()) say_("no k-NN evaluation: " + images_.why_unlabelled());
  for (const std::string& note : images_.notes()) say_(note);
  if (config_.eval.patch.empty()) return;
  if (!teacher_.token_backbone()) {
    say_("no patch measure: " + config_.model.arch + " has no patch tokens; a vision transformer has them");
    return;
  }
  cut_outs_.emplace(config_.eval.patch, eval_preprocessing(config_.data), teacher_.patch_size());
}

std::vector<std::string> TeacherEvaluation::next_commands(const std::string& run) const {
  if (!images_.labelled()) return {"vitrail pca " + run + " photos/"};
  return {"vitrail knn " + run, "vitrail pca " + run + " photos/"};
}

Evaluation TeacherEvaluation::operator()(const Tick& tick) {
  if (!images_.labelled()) {
    const auto loader = images_.plain_train_loader();
    Stats stats = patch_stats(tick);
    for (const auto& entry : signs_of(extract_features(pooled_features(teacher_), *loader, tick, kSignImages)))
      stats.push_back(entry);
    return {std::move(stats), {}};
  }
  find_baselines(tick);
  nn::Backbone& network = teacher_;
  const bool linear = config_.eval.linear_epochs > 0;
  const FeatureOf feature_of = linear ? probe_features(network, kProbeBlocks, false) : pooled_features(network);
  const FeatureSet train = extract_features(feature_of, *images_.plain_train_loader(), tick);
  const FeatureSet val = extract_features(feature_of, *images_.val_loader(), tick);
  const FeatureSet val_pooled = last_columns(val);

  const double top1 = knn(last_columns(train), val_pooled);
  Stats stats = {{"knn_top1", top1}, {"retrieval_map", retrieval_map(normalized(val_pooled))}};
  if (linear)
    stats.emplace_back(
        "linear_top1",
        best_of(linear_probe({train}, val, images_.classes(),
                             {.epochs = config_.eval.linear_epochs, .seed = uint64_t(config_.seed)}, tick))
            .top1);
  for (const auto& entry : patch_stats(tick)) stats.push_back(entry);
  for (const auto& entry : baselines) stats.push_back(entry);
  for (const auto& entry : signs_of(val_pooled)) stats.push_back(entry);
  const int64_t scored = val.labels.size(0);
  stats.emplace_back("images", scored);
  if (const std::string note = left_out_note(images_.val_size(), scored); !note.empty()) say_(note);
  return {std::move(stats), top1};
}

/// The columns of the last block: the features that pooled_features() gives.
FeatureSet TeacherEvaluation::last_columns(const FeatureSet& set) const {
  const int64_t all = set.features.size(1), dim = teacher_.feature_dim();
  return {set.features.slice(1, all - dim, all), set.labels};
}

double TeacherEvaluation::knn(const FeatureSet& train, const FeatureSet& val) const {
  const FeatureSet known = normalized(train), asked = normalized(val);
  return knn_top1(known.features, known.labels, asked.features, asked.labels, images_.classes(),
                  {.k = config_.eval.knn_k, .temperature = config_.eval.knn_temp});
}

Stats TeacherEvaluation::signs_of(const FeatureSet& set) const {
  const Tensor features = set.features.slice(0, 0, std::min(kSignImages, set.features.size(0)));
  return collapse_signs(targets_of_(features), features).stats();
}

/// The patch measure, if the recipe asks for it.
Stats TeacherEvaluation::patch_stats(const Tick& tick) const {
  if (!cut_outs_) return {};
  const PatchScore score = patch_score(patch_tokens(*teacher_.token_backbone()), tick);
  return {{"patch_knn", score.accuracy}, {"patch_miou", score.miou}};
}

PatchScore TeacherEvaluation::patch_score(const PatchFeatureOf& feature_of, const Tick& tick) const {
  const PatchSet train = cut_outs_->train(feature_of, tick);
  return patch_knn(train, cut_outs_->val(feature_of, tick),
                   {.k = config_.eval.knn_k, .temperature = config_.eval.knn_temp});
}

/// The scores of a network with random weights and of the pixels, once per run.
void TeacherEvaluation::find_baselines(const Tick& tick) {
  if (!config_.eval.baselines || !baselines.empty()) return;
  const auto score = [&](const FeatureOf& feature_of) {
    const FeatureSet train = extract_features(feature_of, *images_.plain_train_loader(), tick);
    return knn(train, extract_features(feature_of, *images_.val_loader(), tick));
  };
  const auto untrained =
      build_model(nn::Scope(uint64_t(config_.seed)), config_.model, config_.data.img_size, /*num_classes=*/0);
  std::map<std::string, double> found{{"knn_top1_untrained", score(pooled_features(*untrained))}};
  if (pixels_fit(images_.train_size(), config_.data.img_size))
    found.emplace("knn_top1_pixels", score(pixel_features()));
  else
    say_("no k-NN on pixels: all images together have too many pixels");
  if (cut_outs_) {
    found.emplace("patch_knn_untrained", patch_score(patch_tokens(*untrained->token_backbone()), tick).accuracy);
    found.emplace("patch_knn_pixels", patch_score(patch_pixels(teacher_.patch_size()), tick).accuracy);
  }
  baselines = std::move(found);  // all of them, or none if the evaluation was stopped
}

}  // namespace vitrail::recipes
