#include "tests/optim/parameters.h"
#include "tests/support/close.h"
#include "vitrail/core/error.h"
#include "vitrail/optim/param_groups.h"

#include <cmath>
#include <map>

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

Parameters vit() {
  Parameters ps;
  for (const char* name : {"cls_token", "dist_token", "pos_embed"}) ps.add(name, Shape{1, 1, 4});
  ps.add("patch_embed.proj.weight", Shape{4, 3, 2, 2});
  ps.add("blocks.0.norm1.weight", Shape{4});
  ps.add("blocks.0.attn.qkv.weight", Shape{12, 4});
  ps.add("blocks.10.attn.qkv.bias", Shape{12});
  ps.add("norm.weight", Shape{4});
  ps.add("head.weight", Shape{2, 4});
  ps.add("odd.bias", Shape{2, 2});
  ps.add("logit_scale", Shape{});
  return ps;
}

}  // namespace

TEST_CASE("matrices are decayed; vectors, biases and tokens are not") {
  const Parameters ps = vit();
  const auto groups = decay_groups(ps.all());
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].weight_decay_scale == 0);
  const auto scales = by_name(groups);
  CHECK(scales.size() == ps.all().size());
  for (const char* name : {"patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "head.weight"})
    CHECK(scales.at(name).weight_decay == 1);
  for (const char* name : {"cls_token", "dist_token", "pos_embed", "blocks.0.norm1.weight", "blocks.10.attn.qkv.bias",
                           "norm.weight", "odd.bias", "logit_scale"})
    CHECK(scales.at(name).weight_decay == 0);
}

TEST_CASE("DeiT decays the distillation token, DINO all tokens") {
  const Parameters ps = vit();
  const auto deit = by_name(decay_groups(ps.all(), kNoDecayDeit)), dino = by_name(decay_groups(ps.all(), {}));
  CHECK(deit.at("dist_token").weight_decay == 1);
  CHECK(deit.at("cls_token").weight_decay == 0);
  for (const char* name : {"dist_token", "cls_token", "pos_embed"}) CHECK(dino.at(name).weight_decay == 1);
  CHECK(dino.at("norm.weight").weight_decay == 0);
}

TEST_CASE("layers learn slower towards the input") {
  const Parameters ps = vit();  // blocks 0 and 10: depth 11
  const auto scales = by_name(layer_decay_groups(ps.all(), 0.5));
  CHECK(scales.at("head.weight").lr == 1);
  CHECK(scales.at("norm.weight").lr == 1);
  CHECK(scales.at("blocks.10.attn.qkv.bias").lr == 0.5);
  CHECK(scales.at("blocks.0.attn.qkv.weight").lr == std::pow(0.5, 11));
  CHECK(scales.at("pos_embed").lr == std::pow(0.5, 12));
  CHECK(scales.at("patch_embed.proj.weight").lr == std::pow(0.5, 12));
  CHECK(scales.at("blocks.0.norm1.weight").weight_decay == 0);
  CHECK(scales.at("blocks.0.attn.qkv.weight").weight_decay == 1);
  Parameters convolutions;
  convolutions.add("layer1.0.conv1.weight", Shape{2, 2});
  CHECK_THROWS_WITH_AS(layer_decay_groups(convolutions.all(), 0.5), doctest::Contains("no parameter is of a block"),
                       ConfigError);
}

TEST_CASE("frozen parameters are in no group") {
  const Parameters ps = vit();
  ps.all()[3]->set_requires_grad(false);
  CHECK_FALSE(by_name(decay_groups(ps.all())).contains("patch_embed.proj.weight"));
}

TEST_CASE("a layer's number") {
  CHECK(layer_id("cls_token", 12) == 0);
  CHECK(layer_id("patch_embed.proj.bias", 12) == 0);
  CHECK(layer_id("blocks.0.norm1.weight", 12) == 1);
  CHECK(layer_id("blocks.11.mlp.fc1.weight", 12) == 12);
  CHECK(layer_id("norm.weight", 12) == 13);
  CHECK(layer_id("head.bias", 12) == 13);
  CHECK(layer_id("blocks.x.weight", 12) == 13);
}
