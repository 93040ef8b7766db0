#include "bench/methods.h"

#include "vitrail/autograd/ops.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"
#include "vitrail/nn/losses/contrastive.h"
#include "vitrail/nn/losses/ibot_loss.h"
#include "vitrail/nn/models/clip.h"
#include "vitrail/nn/summary.h"
#include "vitrail/optim/adamw.h"
#include "vitrail/optim/param_groups.h"
#include "vitrail/recipes/build/tower_size.h"
#include "vitrail/recipes/methods/dino_step.h"
#include "vitrail/recipes/methods/dinov2_step.h"
#include "vitrail/recipes/models/model_card.h"

#include <memory>
#include <utility>

namespace vitrail::bench {
namespace {

constexpr double kLr = 1e-4, kWeightDecay = 0.05;

Tensor random_images(int64_t count, int64_t side) { return Rng(0, "images").normal({count, 3, side, side}, 0, 1); }

/// Bytes per step of AdamW. It reads weight, gradient and both moments, and writes all but the gradient.
int64_t adamw_bytes(const nn::ModuleBase& model) { return 7 * 4 * model.parameter_count(); }

int64_t forward_flops(const std::function<void()>& forward) {
  int64_t macs = 0;
  for (const nn::SummaryRow& row : nn::summarize(forward))
    if (row.depth == 0) macs += row.macs;
  return 2 * macs;
}

Step supervised_step(const Options& o) {
  constexpr int64_t kClasses = 1000;
  const std::shared_ptr<nn::Backbone> model = recipes::build_model(nn::Scope(0), o.model, o.img_size, kClasses);
  const int64_t flops = o.batch * recipes::model_card(*model, o.img_size).flops;
  const Tensor images = random_images(o.batch, o.img_size);
  if (o.forward_only) return {[=] { model->logits(images); }, flops};

  Rng rng(0, "labels");
  Tensor labels = zeros({o.batch}, DType::i64);
  for (int64_t& label : labels.span<int64_t>()) label = rng.below(kClasses);
  const auto optimizer = std::make_shared<optim::AdamW>(optim::decay_groups(model->parameters()));
  model->train();
  const auto run = [=] {
    const ag::RandomScope random(0, 0);
    ag::Tape tape;
    tape.backward(cross_entropy(model->logits(images), labels));
    optimizer->step(kLr, kWeightDecay);
    optimizer->zero_grad();
  };
  return {run, 3 * flops, adamw_bytes(*model)};
}

/// The settings of the recipe, changed by the command line.
template <class Config>
Config with_options(Config config, const Options& o) {
  config.model = o.model;
  config.data.img_size = o.img_size;
  return config;
}

/// One tensor a size: the global views, then the local ones.
std::vector<Tensor> random_views(const recipes::SelfDistillationConfig& config, int64_t images) {
  std::vector<Tensor> views{random_images(recipes::DinoStep::kGlobalViews * images, config.data.img_size)};
  if (config.crops.local_number > 0)
    views.push_back(random_images(config.crops.local_number * images, config.crops.local_size));
  return views;
}

/// A step of the recipe after the epochs in which the last layer is frozen.
Step dino_step(const Options& o) {
  const recipes::DinoConfig config = with_options(o.dino, o);
  const std::shared_ptr<recipes::DinoStep> dino = config.build_step();
  const std::vector<Tensor> crops = random_views(config, o.batch), of_one = random_views(config, 1);
  dino->student.eval();  // without stochastic depth
  const int64_t student = forward_flops([&] { dino->student(of_one); });
  const int64_t teacher = forward_flops([&] { dino->teacher(std::span(of_one).first(1)); });

  recipes::At at{.epoch = config.train.freeze_last_layer, .lr = kLr, .weight_decay = kWeightDecay};
  const auto run = [=]() mutable {
    const ag::RandomScope random(0, uint64_t(at.step++));
    (*dino)(crops, at, {});
  };
  const int64_t average_bytes = 3 * 4 * dino->student.parameter_count();
  return {run, o.batch * (3 * student + teacher), adamw_bytes(dino->student) + average_bytes};
}

/// u8 [images, patches]: some of the images have masks, of a share of their patches that rises from image to image.
/// Which patches are masked does not change the time, so they are the first ones.
Tensor first_patches(int64_t images, int64_t patches, const recipes::Dinov2Config::Masks& masks) {
  Tensor result = zeros({images, patches}, DType::u8);
  const auto count = int64_t(double(images) * masks.probability);
  for (int64_t i = 0; i < count; ++i) {
    const double share = masks.ratio[0] + (masks.ratio[1] - masks.ratio[0]) * (double(i) + 0.5) / double(count);
    result.slice(0, i, i + 1).slice(1, 0, int64_t(double(patches) * share)).fill_(1);
  }
  return result;
}

/// A step of the recipe after the epochs in which the last layer is frozen.
Step dinov2_step(const Options& o) {
  const recipes::Dinov2Config config = with_options(o.dinov2, o);
  const std::shared_ptr<recipes::Dinov2Step> dinov2 = config.build_step();
  nn::Dinov2Network &student = dinov2->student, &teacher = dinov2->teacher;
  const std::vector<Tensor> crops = random_views(config, o.batch);
  const int64_t side = o.img_size / student.backbone->patch_size();
  const Tensor masks = first_patches(crops[0].size(0), side * side, config.masks);
  const nn::MaskedPatches masked = nn::masked_patches(masks);

  const auto heads = [&](nn::Dinov2Network& network, const nn::Dinov2Network::Features& seen) {
    network.dino_head(seen.classes);
    if (masked.rows.size(0) > 0)
      network.patch_head()(index_select(reshape(seen.patches, {masks.numel(), seen.patches.size(2)}), 0, masked.rows));
  };
  student.eval();  // without stochastic depth
  teacher.eval();
  const int64_t of_student = forward_flops([&] {
    heads(student, student(crops[0], masks));
    if (crops.size() > 1) student.dino_head(student(crops[1]).classes);
  });
  const int64_t of_teacher = forward_flops([&] { heads(teacher, teacher(crops[0])); });

  recipes::At at{.epoch = config.train.freeze_last_layer, .lr = kLr, .weight_decay = kWeightDecay};
  const auto run = [=]() mutable {
    const ag::RandomScope random(0, uint64_t(at.step++));
    (*dinov2)(crops, masks, at, {});
  };
  const int64_t average_bytes = 3 * 4 * student.parameter_count();
  return {run, 3 * of_student + of_teacher, adamw_bytes(student) + average_bytes};
}

/// Token ids [count, context_length], each row in the form of CLIP's tokenizer: start, words, end, then zeros.
Tensor random_captions(int64_t count, int64_t tokens, const nn::TextConfig& text) {
  check<ConfigError>(3 <= tokens && tokens <= text.context_length, "bench_step",
                     "--tokens {} is outside [3, {}]: at least start, one word and end, at most the context", tokens,
                     text.context_length);
  Rng rng(0, "captions");
  Tensor ids = zeros({count, text.context_length}, DType::i64);
  for (int64_t i = 0; i < count; ++i) {
    int64_t* const row = ids.data<int64_t>() + i * text.context_length;
    const int64_t start = text.vocab_size - 2, end = text.vocab_size - 1;
    row[0] = start;
    for (int64_t t = 1; t + 1 < tokens; ++t) row[t] = 1 + rng.below(start - 1);
    row[tokens - 1] = end;
  }
  return ids;
}

Step clip_step(const Options& o) {
  nn::ClipConfig config = nn::clip_variant(o.model.arch);
  config.vision.img_size = o.img_size;
  recipes::override_size(config.vision, o.model);
  recipes::override_size(config.text, o.model);
  const auto model = std::make_shared<nn::Clip>(nn::Scope(0), config);
  model->visual.checkpoint_blocks = model->text.checkpoint_blocks = o.model.checkpoint;

  const Tensor images = random_images(o.batch, o.img_size), ids = random_captions(o.batch, o.tokens, config.text);
  const Tensor one_image = images.slice(0, 0, 1), one_text = ids.slice(0, 0, 1).slice(1, 0, o.tokens);
  const int64_t flops = o.batch * forward_flops([&] { (*model)(one_image, one_text, nn::Compute::all); });
  const auto optimizer = std::make_shared<optim::AdamW>(optim::decay_groups(model->parameters(), optim::dino_decay()),
                                                        optim::AdamWOptions{.beta2 = 0.98, .eps = 1e-6});
  const auto run = [=] {
    const ag::RandomScope random(0, 0);
    ag::Tape tape;
    tape.backward(nn::contrastive_loss((*model)(images, ids)));
    optimizer->step(kLr, kWeightDecay);
    model->clamp_logit_scale();
    optimizer->zero_grad();
  };
  return {run, 3 * flops, adamw_bytes(*model)};
}

struct Method {
  const char* name;
  Step (*make)(const Options&);
};
constexpr Method kMethods[] = {
    {"supervised", supervised_step}, {"dino", dino_step}, {"dinov2", dinov2_step}, {"clip", clip_step}};

}  // namespace

std::vector<std::string> methods() {
  std::vector<std::string> names;
  for (const Method& method : kMethods) names.emplace_back(method.name);
  return names;
}

Step make_step(const Options& o) {
  check<ConfigError>(!o.forward_only || o.method == "supervised", "bench_step",
                     "--forward-only is for --method supervised, not {}", o.method);
  for (const Method& method : kMethods)
    if (method.name == o.method) return method.make(o);
  fail<ConfigError>("bench_step", "unknown method '{}'", o.method);
}

}  // namespace vitrail::bench
