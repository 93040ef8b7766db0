#include "tests/support/close.h"
#include "tests/support/golden.h"
#include "vitrail/nn/models/resnet.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/optim/adamw.h"
#include "vitrail/recipes/methods/dinov2_step.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <tuple>
#include <utility>

using namespace vitrail;
using namespace vitrail::recipes;

namespace {

constexpr int64_t kBatch = 2, kLocals = 3, kSide = 16, kLocalSide = 8, kPatches = 16;

std::unique_ptr<optim::Optimizer> adamw(const std::vector<optim::ParamGroup>& groups) {
  return std::make_unique<optim::AdamW>(groups);
}

std::unique_ptr<nn::Backbone> backbone(const nn::Scope& scope) {
  nn::VitConfig c{.img_size = kSide, .patch_size = 4, .num_classes = 0, .embed_dim = 8};
  c.depth = 2;
  c.num_heads = 2;
  c.ffn = nn::Ffn::swiglu;
  c.mlp_hidden = 24;
  c.num_registers = 2;
  c.mask_token = true;
  c.layerscale_init = 1;
  c.pos_interp = core::PosInterp::scale_offset;
  return std::make_unique<nn::VisionTransformer>(scope, c);
}

Dinov2Options options(Dinov2Options::Centering centering) {
  const nn::DinoHeadConfig head{.out_dim = 12, .hidden_dim = 16, .bottleneck_dim = 6, .norm_last_layer = false};
  nn::DinoHeadConfig ibot_head = head;
  ibot_head.out_dim = 10;
  return {.views = 2 + kLocals,
          .head = head,
          .ibot_head = ibot_head,
          .centering = centering,
          .clip_grad = 0.5,
          .freeze_last_layer = 2};
}

/// The network of vision_golden.json.
struct TinyDinov2 {
  explicit TinyDinov2(const Dinov2Options& o, DType dtype = DType::f64)
      : step(nn::Scope(1, dtype), backbone, backbone, adamw, o) {}

  Dinov2Step::Result operator()(int64_t it, const At& at, const DinoAt& now = {}) {
    return step(crops_of(it), masks(), at, now);
  }

  /// Crop c of step it: element i is sin(.11 i + .5 c + .9 it) cos(.013 i (c + 1)).
  std::vector<Tensor> crops_of(int64_t it) const {
    std::vector<Tensor> crops;
    for (const auto& [first, last, side] : {std::tuple{0, 2, kSide}, std::tuple{2, 2 + int(kLocals), kLocalSide}}) {
      std::vector<double> values;
      for (int c = first; c < last; ++c)
        for (int64_t i = 0; i < kBatch * 3 * side * side; ++i)
          values.push_back(std::sin(0.11 * double(i) + 0.5 * c + 0.9 * double(it)) *
                           std::cos(0.013 * double(i) * (c + 1)));
      crops.push_back(tensor(values, {(last - first) * kBatch, 3, side, side}).to(step.center.value().dtype()));
    }
    return crops;
  }

  /// Of the four global images the second and third have masks.
  static Tensor masks() {
    std::vector<uint8_t> values(4 * kPatches);
    for (const int64_t i : {0, 1, 4, 5}) values[size_t(kPatches + i)] = 1;
    for (const int64_t i : {6, 7, 10, 11, 14, 15}) values[size_t(2 * kPatches + i)] = 1;
    return tensor(values, {4, kPatches});
  }

  Dinov2Step step;
};

/// Our names for those of the file.
nlohmann::json our_names(const nlohmann::json& order) {
  nlohmann::json ours = nlohmann::json::array();
  for (auto name : order.get<std::vector<std::string>>()) {
    for (const auto& [theirs, own] :
         {std::pair{"register_tokens", "reg_token"}, {"mlp.w12", "mlp.fc1"}, {"mlp.w3", "mlp.fc2"}})
      if (const size_t at = name.find(theirs); at != std::string::npos && name.starts_with("backbone."))
        name.replace(at, std::string(theirs).size(), own);
    ours.push_back(name);
  }
  return ours;
}

double sum_of_squares(const nn::ModuleBase& model) {
  double sum = 0;
  for (const ag::Parameter* p : model.parameters()) sum += std::pow(core::norm(p->value()), 2);
  return sum;
}

bool close(double a, double b) { return std::abs(a - b) < 1e-9; }

}  // namespace

TEST_CASE("four steps of DINOv2 give the published trace, centred and by Sinkhorn-Knopp") {
  const auto golden = test::golden()["dinov2_train"];
  for (const auto centering : {Dinov2Options::Centering::centering, Dinov2Options::Centering::sinkhorn_knopp}) {
    const char* name = centering == Dinov2Options::Centering::centering ? "centering" : "sinkhorn_knopp";
    CAPTURE(name);
    TinyDinov2 tiny(options(centering));
    test::fill_golden(tiny.step.student, our_names(golden["tensor_order"]));
    nn::copy_state(tiny.step.teacher, tiny.step.student);
    for (int64_t it = 0; it < 4; ++it) {
      CAPTURE(it);
      const auto& expected = golden[name][size_t(it)];
      const auto number = [&](const char* key) { return expected[key].get<double>(); };
      const auto result = tiny(it, {.epoch = it, .step = it, .lr = number("lr"), .weight_decay = number("wd")},
                               {.teacher_temp = number("teacher_temp"), .teacher_momentum = number("mom")});
      CHECK(close(result.losses.total, number("total")));
      CHECK(close(result.losses.dino_local, number("dino_local")));
      CHECK(close(result.losses.dino_global, number("dino_global")));
      CHECK(close(result.losses.koleo, number("koleo")));
      CHECK(close(result.losses.ibot, number("ibot")));
      for (size_t i = 0; i < 3; ++i)
        CHECK(std::abs(result.grad_norms.each[i] - expected["grad_norms"][i].get<double>()) < 1e-8);
      CHECK(std::abs(sum_of_squares(tiny.step.student) - number("s_sq")) < 1e-8);
      CHECK(std::abs(sum_of_squares(tiny.step.teacher) - number("t_sq")) < 1e-8);
    }
  }
}

TEST_CASE("in its first epoch the last layer of DINOv2 keeps its values while its moments grow") {
  Dinov2Options o = options(Dinov2Options::Centering::centering);
  o.freeze_last_layer = 1;
  TinyDinov2 tiny(o);
  const auto number = [&](const char* name) { return tiny.step.state().at(std::string("optimizer/") + name).item(); };
  const auto moment = [&](const std::string& head) {
    return core::norm(tiny.step.state().at("optimizer/" + head + ".last_layer.weight_v/exp_avg"));
  };
  std::vector<Tensor> before;
  for (nn::DinoHead* head : tiny.step.student.modules<nn::DinoHead>())
    for (ag::Parameter* p : head->last_layer.parameters()) before.push_back(p->value().clone());
  const auto moved = [&] {
    double least = std::numeric_limits<double>::infinity(), most = 0;
    size_t i = 0;
    for (nn::DinoHead* head : tiny.step.student.modules<nn::DinoHead>())
      for (ag::Parameter* p : head->last_layer.parameters()) {
        const double by = test::max_difference(p->value(), before[i++]);
        least = std::min(least, by);
        most = std::max(most, by);
      }
    return std::pair{least, most};
  };
  REQUIRE(before.size() == 4);  // weight_v and weight_g of two heads
  double grown = 0;
  for (int64_t it = 0; it < 2; ++it) {
    tiny(it, {.epoch = 0, .step = it, .lr = 1e-3, .weight_decay = 0.4});
    CHECK(moved().second == 0);  // neither an update nor decay
    CHECK(number("dino_head.last_layer.weight_v/step") == double(it + 1));
    CHECK(moment("dino_head") > 0);
    CHECK(moment("ibot_head") > 0);
    CHECK(moment("dino_head") != grown);
    grown = moment("dino_head");
  }
  tiny(2, {.epoch = 1, .step = 2, .lr = 1e-3, .weight_decay = 0.4});
  CHECK(moved().first > 0);
  CHECK(number("ibot_head.last_layer.weight_g/step") == 3);
}

TEST_CASE("rates by layer and decay by name are those of DINOv2") {
  struct Published {
    int64_t depth;
    double first, patches;  // the rate of what comes before the blocks, and of the patch embedding
  };
  for (const Published& p : {Published{12, 0.254187, 0.050837}, {24, 0.071790, 0.014358}}) {
    CAPTURE(p.depth);
    const auto deep = [blocks = p.depth](const nn::Scope& scope) {
      nn::VitConfig c{.img_size = kSide, .patch_size = 4, .num_classes = 0, .embed_dim = 4};
      c.depth = blocks;
      c.num_heads = 1;
      c.num_registers = 1;
      c.mask_token = true;
      c.layerscale_init = 1;
      return std::make_unique<nn::VisionTransformer>(scope, c);
    };
    std::map<std::string, std::pair<double, double>> scales;  // of the rate and of the decay, by name
    const auto record = [&](const std::vector<optim::ParamGroup>& groups) {
      for (const optim::ParamGroup& group : groups)
        for (const ag::Parameter* one : group.parameters)
          scales[one->name()] = {group.lr_scale, group.weight_decay_scale};
      return adamw(groups);
    };
    const Dinov2Options o = options(Dinov2Options::Centering::centering);
    const Dinov2Step step(nn::Scope(1), deep, deep, record, o);
    const auto rate = [&](const std::string& name) { return scales.at(name).first; };
    for (const char* name : {"pos_embed", "cls_token", "reg_token", "mask_token"}) {
      CHECK(rate(std::string("backbone.") + name) == doctest::Approx(p.first).epsilon(1e-5));
      CHECK(scales.at(std::string("backbone.") + name).second == 1);  // decayed
    }
    CHECK(rate("backbone.patch_embed.proj.weight") == doctest::Approx(p.patches).epsilon(1e-4));
    CHECK(rate("backbone.blocks.0.attn.qkv.weight") == doctest::Approx(p.first / 0.9).epsilon(1e-5));
    CHECK(rate("backbone.blocks." + std::to_string(p.depth - 1) + ".mlp.fc2.weight") == doctest::Approx(0.9));
    for (const char* name : {"backbone.norm.weight", "dino_head.mlp.0.weight", "dino_head.last_layer.weight_v",
                             "dino_head.last_layer.weight_g", "ibot_head.mlp.4.bias"})
      CHECK(rate(name) == 1);
    for (const auto& scale : scales) {
      const std::string& name = scale.first;
      const bool spared =
          name.ends_with(".bias") || name.find("norm") != std::string::npos || name.find("gamma") != std::string::npos;
      CAPTURE(name);
      CHECK(scale.second.second == (spared ? 0 : 1));
    }
  }
}
