#include "vitrail/recipes/methods/dino.h"

#include "vitrail/recipes/models/open_model.h"

namespace vitrail::recipes {
namespace {

constexpr Named<OptimizerKind> kDinoOptimizers[] = {
    {"adamw", OptimizerKind::adamw}, {"sgd", OptimizerKind::sgd}, {"lars", OptimizerKind::lars}};

constexpr Named<ScheduleKind> kDinoSchedules[] = {{"cosine", ScheduleKind::cosine},
                                                  {"constant", ScheduleKind::constant}};

}  // namespace

DinoConfig::Train::Train() { batch_size = 64; }

void DinoConfig::Crops::describe(Fields& f) {
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

void DinoConfig::Head::describe(Fields& f) {
  f("out_dim", out_dim, "number of prototypes; use fewer for small datasets", at_least(2));
  f("hidden_dim", hidden_dim, "width of the MLP", at_least(1));
  f("bottleneck_dim", bottleneck_dim, "dimensions of a prototype", at_least(1));
  f("use_bn", use_bn, "batch normalisation in the MLP, for convolutional networks");
  f("norm_last_layer", norm_last_layer,
    "prototypes keep length 1, which is more stable; false can be better for small ViTs");
}

void DinoConfig::Teacher::describe(Fields& f) {
  f("momentum", momentum, "momentum of the average at the start; rises to 1; use more for small batches",
    between(0, 1));
  f("temp", temp, "temperature of its softmax; lower is sharper and safer against collapse", positive());
  f("warmup_temp", warmup_temp, "temperature in the first epoch", positive());
  f("warmup_epochs", warmup_epochs, "epochs from warmup_temp to temp", at_least(0));
  f("center_momentum", center_momentum, "momentum of the centre, the mean that is subtracted from its scores",
    between(0, 1));
}

void DinoConfig::Optim::describe(Fields& f) {
  f("name", name, "optimizer", kDinoOptimizers);
  f("lr", lr, "peak learning rate", positive());
  f("lr_per_images", lr_per_images, "if given, the rate is lr * batch_size / lr_per_images", at_least(1));
  f("weight_decay", weight_decay, "weight decay at the start and at the end; biases and vectors are not decayed",
    at_least(0).of(2));
  f("betas", betas, "adamw: decay rates of the two moments", between(0, 1).of(2));
  f("eps", eps, "adamw: added to the root of the second moment", positive());
  f("momentum", momentum, "sgd, lars", between(0, 1));
  f("clip_grad", clip_grad, "clips the gradient of each parameter to this norm; 0: no clipping", at_least(0));
}

void DinoConfig::Schedule::describe(Fields& f) {
  f("name", name, "learning rate after the warm-up", kDinoSchedules);
  f("warmup_epochs", warmup_epochs, "epochs of a linear rise from 0", at_least(0));
  f("min_lr", min_lr, "cosine: learning rate at the end", at_least(0));
}

void DinoConfig::Train::describe(Fields& f) {
  describe_length(f);
  f("student_temp", student_temp, "temperature of the student's softmax", positive());
  f("freeze_last_layer", freeze_last_layer, "epochs in which the prototypes do not change", at_least(0));
  describe_records(f);
}

void DinoConfig::Eval::describe(Fields& f) {
  f("every", every, "epochs between evaluations", at_least(1));
  f("knn_k", knn_k, "neighbours that vote", at_least(1));
  f("knn_temp", knn_temp, "temperature of the votes exp(cosine / knn_temp)", positive());
  f("linear_epochs", linear_epochs, "epochs of a linear classifier on frozen features; 0: no classifier", at_least(0));
  f("baselines", baselines, "also score a network with random weights, and the pixels, once per run");
}

void DinoConfig::describe(Fields& f) {
  RecipeConfig::describe(f);
  f("model", model);
  f.section("data", [&] {  // no augmentation: crops has it
    data.describe_source(f);
    data.describe_pixels(f);
    data.describe_reading(f);
  });
  f("crops", crops);
  f("head", head);
  f("teacher", teacher);
  f("optim", optim);
  f("schedule", schedule);
  f.also("optim.warmup_epochs", "schedule.warmup_epochs");  // their names in version 0.1.0
  f.also("optim.min_lr", "schedule.min_lr");
  f("train", train);
  f("eval", eval);
}

void DinoConfig::open(const TensorMap& state, OpenModel& opened) const {
  constexpr KeptNetwork kKept[] = {{"teacher/backbone.", true}, {"student/backbone."}};
  open_backbone(opened, *this, state, kKept);
}

OptimConfig DinoConfig::Optim::optimizer() const {
  OptimConfig config;
  config.name = name;
  config.lr = lr;
  config.lr_per_images = lr_per_images;
  config.betas = betas;
  config.eps = eps;
  config.momentum = momentum;
  return config;
}

}  // namespace vitrail::recipes
