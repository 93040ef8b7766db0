#include "vitrail/recipes/methods/self_distillation.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/methods/adaptation.h"
#include "vitrail/recipes/methods/dino_data.h"
#include "vitrail/recipes/methods/dino_step.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/peft_adapter.h"
#include "vitrail/recipes/models/start_weights.h"

#include <algorithm>

namespace vitrail::recipes {
namespace {

constexpr Named<ScheduleKind> kSelfDistillationSchedules[] = {{"cosine", ScheduleKind::cosine},
                                                              {"constant", ScheduleKind::constant}};

nn::MakeBackbone maker(const ModelConfig& model, const LoraSection& lora, int64_t img_size) {
  return [=](const nn::Scope& scope) { return build_trained_model(scope, model, lora, img_size, /*num_classes=*/0); };
}

}  // namespace

SelfDistillationConfig::Train::Train() { batch_size = 64; }

void SelfDistillationConfig::Adapt::describe(Fields& f) {
  f("defaults", defaults,
    "with init: other keys get other defaults, a tenth of the rate, layer decay 0.8, a slow teacher, epochs for the "
    "heads alone; false: they stay");
  f("head_epochs", head_epochs,
    "epochs at the start that train the heads alone; with init a tenth of the run, unless the heads are from init too",
    at_least(0));
}

void SelfDistillationConfig::Crops::describe(Fields& f) {
  f("global_scale", global_scale, "smallest and largest share of the image area in the two global views",
    between(0, 1).of(2));
  f("local_scale", local_scale, "the same for local views", between(0, 1).of(2));
  f("local_number", local_number, "local views per image", at_least(0));
  f("local_size", local_size, "side of local views; global views have data.img_size", at_least(1));
  f("hflip", hflip, "probability of a horizontal flip", between(0, 1));
  f("color_jitter", color_jitter, "largest change of brightness, contrast, saturation and hue", between(0, 1).of(4));
  f("color_jitter_prob", color_jitter_prob, "probability of color_jitter", between(0, 1));
  f("gray_prob", gray_prob, "probability of conversion to grey", between(0, 1));
  f("global_blur", global_blur, "probability of blurring the first and the second global view", between(0, 1).of(2));
  f("local_blur", local_blur, "probability of blurring a local view", between(0, 1));
  f("blur_sigma", blur_sigma, "smallest and largest width of the blur in pixels, for size 224; scale it with the size",
    at_least(0).of(2));
  f("solarize_prob", solarize_prob, "probability of solarizing the second global view", between(0, 1));
}

void SelfDistillationConfig::Head::describe(Fields& f) {
  f("out_dim", out_dim, "number of prototypes; use fewer for small datasets", at_least(2));
  f("hidden_dim", hidden_dim, "width of the MLP", at_least(1));
  f("bottleneck_dim", bottleneck_dim, "dimensions of a prototype", at_least(1));
  f("use_bn", use_bn, "batch normalisation in the MLP, for convolutional networks");
  f("norm_last_layer", norm_last_layer,
    "prototypes keep length 1, which is more stable; false can be better for small ViTs");
}

void SelfDistillationConfig::Teacher::describe(Fields& f) {
  f("momentum", momentum, "momentum of the average at the start; rises to 1; use more for small batches",
    between(0, 1));
  f("temp", temp, "temperature of its softmax; lower is sharper and safer against collapse", positive());
  f("warmup_temp", warmup_temp, "temperature in the first epoch", positive());
  f("warmup_epochs", warmup_epochs, "epochs from warmup_temp to temp", at_least(0));
  f("center_momentum", center_momentum, "momentum of the centre, the mean that is subtracted from its scores",
    between(0, 1));
}

void SelfDistillationConfig::Schedule::describe(Fields& f) {
  f("name", name, "learning rate after the warm-up", kSelfDistillationSchedules);
  f("warmup_epochs", warmup_epochs, "epochs of a linear rise from 0", at_least(0));
  f("min_lr", min_lr, "cosine: learning rate at the end", at_least(0));
}

void SelfDistillationConfig::Train::describe(Fields& f) {
  describe_length(f);
  describe_shards(f);
  f("student_temp", student_temp, "temperature of the student's softmax", positive());
  f("freeze_last_layer", freeze_last_layer, "epochs in which the prototypes do not change", at_least(0));
  describe_records(f);
}

void SelfDistillationConfig::Eval::describe(Fields& f) {
  f("every", every, "epochs between evaluations", at_least(1));
  f("knn_k", knn_k, "neighbours that vote", at_least(1));
  f("knn_temp", knn_temp, "temperature of the votes exp(cosine / knn_temp)", positive());
  f("linear_epochs", linear_epochs, "epochs of a linear classifier on frozen features; 0: no classifier", at_least(0));
  f("patch", patch,
    "images with transparent backgrounds for the patch measure: does k-NN on patch tokens tell things from background? "
    "Empty: no measure",
    is_path());
  f("baselines", baselines, "also score a network with random weights, and the pixels, once per run");
}

void SelfDistillationConfig::open(const TensorMap& state, OpenModel& opened) const {
  constexpr KeptNetwork kKept[] = {{"teacher/backbone.", true}, {"student/backbone."}};
  open_backbone(opened, *this, state, kKept);
}

void SelfDistillationConfig::describe_networks(Fields& f) {
  RecipeConfig::describe(f);
  f("init", init,
    "weights to adapt: safetensors, folder of a published model, checkpoint or run, whose teacher is taken. Other keys "
    "then have other defaults: see adapt",
    is_path());
  f("accept_keys", accept_keys, kAcceptKeysHelp);
  f("adapt", adapt);
  f("model", model);
  f.also("model", "model.arch");
  f("lora", lora);
  f.section("data", [&] {  // no augmentation: crops has it
    data.describe_source(f);
    data.describe_pixels(f);
    data.describe_reading(f);
  });
  f("crops", crops);
  f("head", head);
  f("teacher", teacher);
}

void SelfDistillationConfig::describe_course(Fields& f) {
  f("schedule", schedule);
  f("train", train);
  f("eval", eval);
}

Preview SelfDistillationConfig::preview(int64_t count) const {
  const int64_t globals = DinoStep::kGlobalViews, views = globals + crops.local_number;
  DinoData data_parts(*this);
  const int64_t size = std::clamp<int64_t>(count / views, 1, data_parts.train_size());
  const auto batch = data_parts.train_loader({}, size)->next();
  check<DataError>(batch.has_value(), "preview", "{} has no images", data.root);
  Preview shown;
  for (int64_t i = 0; i < size; ++i) {
    for (int64_t v = 0; v < views; ++v) {
      const bool global = v < globals;
      const int64_t of_size = global ? v : v - globals;  // view of its size
      const Tensor& images = (*batch)[global ? "global_crops" : "local_crops"];
      shown.images.push_back(to_image(images.select(0, of_size * size + i), data));
      shown.captions.push_back((global ? "global " : "local ") + std::to_string(of_size + 1));
    }
  }
  return shown;
}

std::vector<std::string> SelfDistillationConfig::settle(Config& config) {
  std::vector<std::string> notes = settle_adaptation(config, init);
  settle_adapter(config, notes);
  return notes;
}

std::vector<std::string> kept_numbers(const SelfDistillationConfig& config) {
  if (config.init.empty()) return {};
  return {"knn_top1", "feat_rank"};
}

nn::MakeBackbone student_maker(const SelfDistillationConfig& config) {
  return maker(config.model, config.lora, config.data.img_size);
}

nn::MakeBackbone teacher_maker(const SelfDistillationConfig& config) {
  ModelConfig model = config.model;
  LoraSection lora = config.lora;
  model.drop_rate = model.drop_path_rate = lora.dropout = 0;
  return maker(model, lora, config.data.img_size);
}

nn::DinoHeadConfig head_of(const SelfDistillationConfig& config) {
  return {.out_dim = config.head.out_dim,
          .hidden_dim = config.head.hidden_dim,
          .bottleneck_dim = config.head.bottleneck_dim,
          .use_bn = config.head.use_bn,
          .norm_last_layer = config.head.norm_last_layer};
}

void check_views(const SelfDistillationConfig& config, int64_t patch_size) {
  check<ConfigError>(!config.model.distilled, "model.distilled", "{} reads the class token alone", config.recipe);
  check<ConfigError>(config.adapt.head_epochs <= config.train.epochs, "adapt.head_epochs",
                     "{} is more than train.epochs {}", config.adapt.head_epochs, config.train.epochs);
  check<ConfigError>(config.crops.local_number == 0 || config.crops.local_size % patch_size == 0, "crops.local_size",
                     "{} is no multiple of the patches of {}", config.crops.local_size, patch_size);
}

}  // namespace vitrail::recipes
