#include "vitrail/recipes/methods/dinov2.h"

#include "vitrail/recipes/methods/frozen_teacher.h"

#include <cmath>
#include <utility>

namespace vitrail::recipes {
namespace {

constexpr Named<Dinov2Options::Centering> kCenterings[] = {
    {"centering", Dinov2Options::Centering::centering}, {"sinkhorn_knopp", Dinov2Options::Centering::sinkhorn_knopp}};

}  // namespace

Dinov2Config::Dinov2Config() {
  model.mask_token = true;
  lora.train = {"mask_token"};  // published weights may lack it
  model.drop_path_rate = 0.3;
  model.drop_path_uniform = true;
  model.drop_path_mode = nn::DropPathMode::subset;
  model.layerscale_init = 1e-5;
  model.pos_interp = ag::PosInterp::scale_offset;
  crops.global_scale = {0.32, 1};
  crops.local_scale = {0.05, 0.32};
  crops.global_blur = {0, 0.9};  // as the published code draws them
  head.norm_last_layer = false;
  teacher = {.momentum = 0.992, .temp = 0.07, .warmup_temp = 0.04, .warmup_epochs = 30, .center_momentum = 0.9};
}

void Dinov2Config::Masks::describe(Fields& f) {
  f("probability", probability, "share of the global views with masked patches", between(0, 1));
  f("ratio", ratio, "smallest and largest share of masked patches in such a view", between(0, 1).of(2));
}

void Dinov2Config::Ibot::describe(Fields& f) {
  f("weight", weight, "weight of the loss on masked patches", at_least(0));
  f("separate_head", separate_head, "patches have a head of their own");
  f("out_dim", out_dim, "separate_head: number of its prototypes", at_least(2));
  f("bottleneck_dim", bottleneck_dim, "separate_head: dimensions of a prototype", at_least(1));
}

void Dinov2Config::Koleo::describe(Fields& f) {
  f("weight", weight, "weight of KoLeo, which keeps features of different images apart", at_least(0));
  f("group", group, "images among which it looks for the nearest one; 0: all of a batch", at_least(0));
}

void Dinov2Config::Distill::describe(Fields& f) {
  f("teacher", teacher,
    "run, checkpoint or published model whose outputs the student learns, in place of its own average's; it stays as "
    "it is, no patches are masked, and every patch counts",
    is_path());
}

std::vector<std::string> Dinov2Config::settle(Config& config) {
  std::vector<std::string> notes = SelfDistillationConfig::settle(config);
  for (std::string& note : settle_distillation(config, distillation.teacher)) notes.push_back(std::move(note));
  return notes;
}

void Dinov2Config::Optim::describe(Fields& f) {
  f("lr", lr, "adamw: peak learning rate", positive());
  f("lr_per_images", lr_per_images, "if given, the rate is lr * sqrt(batch_size / lr_per_images)", at_least(1));
  f("weight_decay", weight_decay, "weight decay at the start and at the end; biases and vectors are not decayed",
    at_least(0).of(2));
  f("betas", betas, "decay rates of the two moments", between(0, 1).of(2));
  f("eps", eps, "added to the root of the second moment", positive());
  f("clip_grad", clip_grad, "clips the gradients of the backbone and of each head to this norm; 0: no clipping",
    at_least(0));
  f("layer_decay", layer_decay, "the rate of each block is this times the rate of the next; 1: all alike",
    between(0, 1));
  f("patch_embed_lr", patch_embed_lr, "factor of the rate of the patch embedding", at_least(0));
}

double Dinov2Config::Optim::peak_lr(int64_t batch_size) const {
  return lr_per_images ? lr * std::sqrt(double(batch_size) / double(*lr_per_images)) : lr;
}

void Dinov2Config::describe(Fields& f) {
  describe_networks(f);
  f.section("teacher", [&] {
    f("centering", centering, "how its scores become targets: less their running mean, or balanced over the batch",
      kCenterings);
  });
  f("masks", masks);
  f("ibot", ibot);
  f("koleo", koleo);
  f("distillation", distillation);
  f("optim", optim);
  describe_course(f);
}

}  // namespace vitrail::recipes
