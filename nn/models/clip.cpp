#include "vitrail/nn/models/clip.h"

#include "vitrail/core/text.h"
#include "vitrail/nn/losses/contrastive.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace vitrail::nn {
namespace {

struct Tower {
  int64_t embed_dim, depth, num_heads;
};
struct ClipVariant {
  const char* name;
  int64_t img_size, patch_size;
  Tower vision;
  int64_t out_dim;
  Tower text;
  double mlp_ratio = 4;        // vision tower
  double layerscale_init = 0;  // both towers
};
// open_clip's src/open_clip/model_configs/.
constexpr ClipVariant kClipVariants[] = {
    {"ViT-B-32", 224, 32, {768, 12, 12}, 512, {512, 12, 8}},
    {"ViT-B-16", 224, 16, {768, 12, 12}, 512, {512, 12, 8}},
    {"ViT-L-14", 224, 14, {1024, 24, 16}, 768, {768, 12, 12}},
    {"ViT-L-14-336", 336, 14, {1024, 24, 16}, 768, {768, 12, 12}},
    {"ViT-S-32-alt", 224, 32, {384, 12, 6}, 256, {256, 10, 4}},
    {"ViT-S-16-alt", 224, 16, {384, 12, 6}, 256, {256, 10, 4}},
    {"ViT-S-32", 224, 32, {384, 12, 6}, 384, {384, 12, 6}},
    {"ViT-S-16", 224, 16, {384, 12, 6}, 384, {384, 12, 6}},
    {"ViT-M-32-alt", 224, 32, {512, 12, 8}, 384, {384, 12, 6}},
    {"ViT-M-16-alt", 224, 16, {512, 12, 8}, 384, {384, 12, 6}, 4, 1e-4},
    {"ViT-M-32", 224, 32, {512, 12, 8}, 512, {512, 12, 8}},
    {"ViT-M-16", 224, 16, {512, 12, 8}, 512, {512, 12, 8}},
    {"ViT-B-32-256", 256, 32, {768, 12, 12}, 512, {512, 12, 8}},
    {"ViT-B-16-plus-240", 240, 16, {896, 12, 14}, 640, {640, 12, 10}},
    {"ViT-L-16", 224, 16, {1024, 24, 16}, 768, {768, 12, 12}},
    {"ViT-H-14", 224, 14, {1280, 32, 16}, 1024, {1024, 24, 16}},
    {"ViT-g-14", 224, 14, {1408, 40, 16}, 1024, {1024, 24, 16}, 4.3637},
    {"ViT-bigG-14", 224, 14, {1664, 48, 16}, 1280, {1280, 32, 20}, 4.9231},
};

/// Initial values by the suffix of the parameter's name. The first matching rule applies.
using Rules = std::vector<std::pair<std::string_view, Init>>;

Rules vision_rules(const VitConfig& c) {
  const double std = 1 / std::sqrt(double(c.embed_dim));
  const int64_t hidden = std::llround(c.mlp_ratio * double(c.embed_dim));
  return {{"cls_token", init::normal(std)},
          {"pos_embed", init::normal(std)},
          {"head.weight", init::normal(std)},
          {"patch_embed.proj.weight", init::kaiming_uniform()},
          {"attn.qkv.weight", init::xavier_uniform()},
          {"attn.proj.weight", init::kaiming_uniform()},
          {"mlp.fc1.weight", init::kaiming_uniform()},
          {"mlp.fc2.weight", init::kaiming_uniform()},
          {"mlp.fc1.bias", init::kaiming_uniform(c.embed_dim)},
          {"mlp.fc2.bias", init::kaiming_uniform(hidden)},
          {"gamma", init::constant(c.layerscale_init)},
          {"bias", init::zeros()},
          {"weight", init::ones()}};  // of norms
}

Rules text_rules(const TextConfig& c) {
  const double std = 1 / std::sqrt(double(c.embed_dim)), branch = std / std::sqrt(2 * double(c.depth));
  const int64_t hidden = std::llround(c.mlp_ratio * double(c.embed_dim));
  return {{"token_embedding.weight", init::normal(0.02)},
          {"pos_embed", init::normal(0.01)},
          {"attn.qkv.weight", init::normal(std)},
          {"attn.proj.weight", init::normal(branch)},
          {"mlp.fc1.weight", init::normal(std / std::sqrt(2.0))},
          {"mlp.fc2.weight", init::normal(branch)},
          {"mlp.fc1.bias", init::kaiming_uniform(c.embed_dim)},
          {"mlp.fc2.bias", init::kaiming_uniform(hidden)},
          {"text.proj.weight", init::normal(std)},
          {"gamma", init::constant(c.layerscale_init)},
          {"bias", init::zeros()},
          {"weight", init::ones()}};  // of norms
}

/// As initialize_parameters of openai/CLIP, and PyTorch's defaults elsewhere.
void initialize(const ModuleBase& tower, const Rules& rules, uint64_t seed) {
  for (Parameter* p : tower.parameters()) {
    const auto rule =
        std::find_if(rules.begin(), rules.end(), [&](const auto& r) { return p->name().ends_with(r.first); });
    check<ConfigError>(rule != rules.end(), "clip", "no rule says how '{}' starts", p->name());
    Rng rng(seed, p->name());
    p->update([&](Tensor& value) { value.copy_(rule->second(value.shape(), value.dtype(), rng)); });
  }
}

/// The group of a parameter for lock_image. The groups are the layers in order, and the projection comes last. The
/// final norm belongs to the last block's group.
int64_t group_of(const Parameter& p, std::string_view tower, int64_t depth) {
  if (p.layer()) return *p.layer();
  const std::string_view name = std::string_view(p.name()).substr(tower.size() + 1);
  return name.starts_with("head.") || name.starts_with("proj.") ? depth + 1 : depth;
}

void lock(const ModuleBase& tower, int64_t depth, int64_t unlocked) {
  const int64_t groups = depth + 2;
  check<ConfigError>(unlocked >= 0 && unlocked <= groups, tower.path(), "{} groups to leave unlocked; it has {}",
                     unlocked, groups);
  for (Parameter* p : tower.parameters()) p->set_requires_grad(group_of(*p, tower.name(), depth) >= groups - unlocked);
}

const ClipConfig& checked(const ClipConfig& c) {
  check<ConfigError>(c.vision.num_classes > 0 && c.vision.num_classes == c.text.out_dim, "clip",
                     "the image tower has {} outputs, the text tower {}; they must have the same number",
                     c.vision.num_classes, c.text.out_dim);
  return c;
}

}  // namespace

std::vector<std::string> clip_variants() {
  std::vector<std::string> names;
  for (const ClipVariant& v : kClipVariants) names.emplace_back(v.name);
  return names;
}

ClipConfig clip_variant(std::string_view name) {
  constexpr std::string_view kQuick = "-quickgelu";
  const bool quick = name.ends_with(kQuick);
  const std::string_view base = name.substr(0, name.size() - (quick ? kQuick.size() : 0));
  const auto v = std::find_if(std::begin(kClipVariants), std::end(kClipVariants),
                              [&](const ClipVariant& x) { return x.name == base; });
  if (v == std::end(kClipVariants))
    fail<ConfigError>("clip", "unknown variant '{}'; known are {}", name,
                      joined(kClipVariants, [](const ClipVariant& x) { return x.name; }));
  const ag::Gelu gelu = quick ? ag::Gelu::quick : ag::Gelu::erf;
  ClipConfig c;
  c.vision = {.img_size = v->img_size,
              .patch_size = v->patch_size,
              .num_classes = v->out_dim,
              .embed_dim = v->vision.embed_dim,
              .depth = v->vision.depth,
              .num_heads = v->vision.num_heads,
              .mlp_ratio = v->mlp_ratio,
              .gelu = gelu,
              .ln_eps = 1e-5,
              .pre_norm = true,
              .layerscale_init = v->layerscale_init,
              .head_bias = false};
  c.text = {.embed_dim = v->text.embed_dim,
            .depth = v->text.depth,
            .num_heads = v->text.num_heads,
            .out_dim = v->out_dim,
            .gelu = gelu};
  return c;
}

Clip::Clip(const Scope& scope, const ClipConfig& c)
    : Module(scope),
      visual(checked(c).vision.pre_norm ? sub("visual").without_values() : sub("visual"), c.vision),
      text(sub("text").without_values(), c.text),
      logit_scale(sub("logit_scale"), {}, init::constant(c.init_logit_scale)) {
  if (c.init_logit_bias) logit_bias.emplace(sub("logit_bias"), Shape{}, init::constant(*c.init_logit_bias));
  if (!scope.has_values()) return;
  if (c.vision.pre_norm)
    initialize(visual, vision_rules(c.vision), scope.seed());
  else
    initialize(*visual.head, vision_rules(c.vision), scope.seed());
  initialize(text, text_rules(c.text), scope.seed());
}

Var Clip::logits(const Var& image_features, const Var& text_features) {
  return pair_logits(image_features, text_features, logit_scale, logit_bias ? Var(*logit_bias) : Var());
}

void Clip::lock_image(int64_t unlocked_groups) { lock(visual, visual.config.depth, unlocked_groups); }

void Clip::lock_text(int64_t unlocked_groups) { lock(text, text.config.depth, unlocked_groups); }

void Clip::clamp_logit_scale() {
  const double most = std::log(100.0);
  logit_scale.update([&](Tensor& value) { value.fill_(std::clamp(value.item(), 0.0, most)); });
}

}  // namespace vitrail::nn
