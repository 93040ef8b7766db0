#include "tests/optim/parameters.h"
#include "tests/support/close.h"
#include "vitrail/core/error.h"
#include "vitrail/nn/models/clip.h"
#include "vitrail/nn/models/dino_head.h"
#include "vitrail/nn/models/resnet.h"
#include "vitrail/optim/param_groups.h"

#include <cmath>
#include <map>
#include <set>

using namespace vitrail;
using namespace vitrail::optim;
using test::Parameters;

namespace {

struct Scales {
  double lr, weight_decay;
};

std::map<std::string, Scales> by_name(const std::vector<ParamGroup>& groups) {
  std::map<std::string, Scales> scales;
  for (const ParamGroup& g : groups)
    for (const ag::Parameter* p : g.parameters) scales[p->name()] = {g.lr_scale, g.weight_decay_scale};
  return scales;
}

/// A transformer with every kind of parameter.
nn::VitConfig everything() {
  nn::VitConfig c;
  c.img_size = 4;
  c.patch_size = 2;
  c.embed_dim = 4;
  c.num_heads = 2;
  c.depth = 11;
  c.num_classes = 2;
  c.distilled = c.mask_token = c.pre_norm = c.qk_norm = true;
  c.num_registers = 2;
  c.layerscale_init = 0.1;
  return c;
}

std::string_view last_part(std::string_view name) { return name.substr(name.rfind('.') + 1); }

/// timm's rule, by names and shapes.
bool decayed_by_name(const ag::Parameter& p, const std::set<std::string_view>& no_decay) {
  return p.shape().rank() > 1 && last_part(p.name()) != "bias" && !no_decay.contains(last_part(p.name()));
}

/// timm's layer_id, by names.
int64_t layer_by_name(std::string_view name, int64_t depth) {
  static const std::set<std::string_view> embeddings{"patch_embed", "pos_embed",  "cls_token", "dist_token",
                                                     "reg_token",   "mask_token", "norm_pre"};
  if (embeddings.contains(name.substr(0, name.find('.')))) return 0;
  if (name.starts_with("blocks.")) return std::stoll(std::string(name.substr(7))) + 1;
  return depth + 1;
}

}  // namespace

TEST_CASE("the groups are those of the published rules by name") {
  struct Rule {
    DecayRule rule;
    std::set<std::string_view> no_decay;
  };
  const Rule rules[] = {{timm_decay(), {"pos_embed", "cls_token", "dist_token", "reg_token"}},
                        {deit_decay(), {"pos_embed", "cls_token"}},
                        {dino_decay(), {}},
                        {{.tables = true, .except = {"cls_token"}}, {"cls_token"}}};
  const nn::VisionTransformer vit(nn::Scope(), everything());
  nn::ClipConfig clip_config = nn::clip_variant("ViT-S-32-alt");
  clip_config.vision.num_registers = 2;
  const nn::Clip clip(nn::Scope().without_values(), clip_config);
  const nn::ResNet resnet(nn::Scope().without_values(), nn::resnet_variant("resnet50"));
  const nn::DinoHead head(nn::Scope().without_values(), 4, {.out_dim = 8, .hidden_dim = 4, .use_bn = true});
  for (const nn::ModuleBase* model : std::initializer_list<const nn::ModuleBase*>{&vit, &clip, &resnet, &head})
    for (const Rule& r : rules) {
      const auto scales = by_name(decay_groups(model->parameters(), r.rule));
      for (const ag::Parameter* p : model->parameters()) {
        if (!p->requires_grad()) continue;
        CAPTURE(p->name());
        CHECK(scales.at(p->name()).weight_decay == (decayed_by_name(*p, r.no_decay) ? 1 : 0));
      }
    }
}

TEST_CASE("the two groups are in the order not decayed, decayed") {
  const nn::VisionTransformer vit(nn::Scope(), everything());
  const auto groups = decay_groups(vit.parameters());
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].weight_decay_scale == 0);
  CHECK(groups[0].parameters.size() + groups[1].parameters.size() == vit.parameters().size());
}

TEST_CASE("a parameter of one's own is decayed by its rank, or as it says") {
  Parameters ps;
  CHECK(ps.add("matrix", Shape{2, 2}).decay() == ag::Decay::weight);
  CHECK(ps.add("vector", Shape{2}).decay() == ag::Decay::never);
  CHECK(ps.add("logit_scale", Shape{}).decay() == ag::Decay::never);
  CHECK(ag::Parameter("table", zeros({2, 2}), {.decay = ag::Decay::table}).decay() == ag::Decay::table);
}

TEST_CASE("layers learn slower towards the input") {
  const nn::VisionTransformer vit(nn::Scope(), everything());
  const auto scales = by_name(layer_decay_groups(vit.parameters(), 0.5));
  for (const ag::Parameter* p : vit.parameters()) {
    CAPTURE(p->name());
    CHECK(scales.at(p->name()).lr == std::pow(0.5, double(12 - layer_by_name(p->name(), 11))));
  }
  const auto slow = by_name(layer_decay_groups(vit.parameters(), 0.5, timm_decay(), [](const ag::Parameter& p) {
    return p.name().starts_with("patch_embed.") ? 0.2 : 1;
  }));
  CHECK(slow.at("patch_embed.proj.weight").lr == 0.2 * scales.at("patch_embed.proj.weight").lr);
  CHECK(slow.at("pos_embed").lr == scales.at("pos_embed").lr);
  Parameters convolutions;
  convolutions.add("layer1.0.conv1.weight", Shape{2, 2});
  CHECK_THROWS_WITH_AS(layer_decay_groups(convolutions.all(), 0.5), doctest::Contains("no parameter is of a block"),
                       ConfigError);
}

TEST_CASE("a decay of 0.9 gives the factors of DINOv2 with 12 and 24 blocks") {
  for (const auto& [depth, first, patch] : {std::tuple{12, .254187, .050837}, {24, .071790, .014358}}) {
    nn::VitConfig c{.img_size = 8, .patch_size = 4, .num_classes = 0, .embed_dim = 4};
    c.depth = depth;
    c.num_heads = 1;
    c.num_registers = 1;
    c.mask_token = true;
    const nn::VisionTransformer vit(nn::Scope(), c);
    const auto scales = by_name(layer_decay_groups(vit.parameters(), 0.9, timm_decay(), [](const ag::Parameter& p) {
      return p.name().starts_with("patch_embed.") ? 0.2 : 1;
    }));
    for (const char* name : {"pos_embed", "cls_token", "reg_token", "mask_token"})
      CHECK(scales.at(name).lr == doctest::Approx(first).epsilon(1e-5));
    CHECK(scales.at("patch_embed.proj.weight").lr == doctest::Approx(patch).epsilon(1e-4));
    CHECK(scales.at("blocks.0.attn.qkv.weight").lr == doctest::Approx(first / 0.9).epsilon(1e-5));
    CHECK(scales.at("norm.weight").lr == 1);
  }
}

TEST_CASE("frozen parameters are in no group") {
  const nn::VisionTransformer vit(nn::Scope(), everything());
  vit.parameter("patch_embed.proj.weight").set_requires_grad(false);
  CHECK_FALSE(by_name(decay_groups(vit.parameters())).contains("patch_embed.proj.weight"));
}
