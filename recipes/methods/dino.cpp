#include "vitrail/recipes/methods/dino.h"

namespace vitrail::recipes {
namespace {

constexpr Named<OptimizerKind> kDinoOptimizers[] = {
    {"adamw", OptimizerKind::adamw}, {"sgd", OptimizerKind::sgd}, {"lars", OptimizerKind::lars}};

}  // namespace

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
  f("layer_decay", layer_decay, "the rate of each block is this times the rate of the next; 1: all alike",
    between(0, 1));
}

void DinoConfig::describe(Fields& f) {
  describe_networks(f);
  f("optim", optim);
  describe_course(f);
  f.also("optim.warmup_epochs", "schedule.warmup_epochs");  // their names in version 0.1.0
  f.also("optim.min_lr", "schedule.min_lr");
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
