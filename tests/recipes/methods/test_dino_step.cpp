#include "tests/support/close.h"
#include "tests/support/golden.h"
#include "vitrail/nn/models/resnet.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/optim/adamw.h"
#include "vitrail/recipes/methods/dino_step.h"

#include <cmath>

using namespace vitrail;
using namespace vitrail::recipes;

namespace {

std::unique_ptr<optim::Optimizer> adamw(const std::vector<optim::ParamGroup>& groups) {
  return std::make_unique<optim::AdamW>(groups);
}

/// The tiny network of vision_golden.json: 8x8 pixels, two global views, three local ones of 4x4, 12 prototypes.
struct TinyDino {
  explicit TinyDino(bool norm_last_layer, DType dtype = DType::f64)
      : dino(nn::Scope(1, dtype), make, make, adamw,
             {.views = 5,
              .head = {.out_dim = 12, .hidden_dim = 16, .bottleneck_dim = 6, .norm_last_layer = norm_last_layer},
              .clip_grad = 0.05}) {}

  static std::unique_ptr<nn::Backbone> make(const nn::Scope& scope) {
    nn::VitConfig c{.img_size = 8, .patch_size = 4, .num_classes = 0, .embed_dim = 8};
    c.depth = 2;
    c.num_heads = 2;
    c.pos_interp = core::PosInterp::scale_offset;
    return std::make_unique<nn::VisionTransformer>(scope, c);
  }

  DinoStep dino;
};

/// Crop c of step it: element i is sin(.11 i + .5 c + .9 it) cos(.013 i (c + 1)).
std::vector<Tensor> crops_of(int64_t it, DType dtype) {
  constexpr int64_t kBatch = 2;
  std::vector<Tensor> crops;
  for (const auto& [first, last, side] : {std::tuple{0, 2, 8}, std::tuple{2, 5, 4}}) {
    std::vector<double> values;
    for (int c = first; c < last; ++c)
      for (int64_t i = 0; i < kBatch * 3 * side * side; ++i)
        values.push_back(std::sin(0.11 * double(i) + 0.5 * c + 0.9 * double(it)) *
                         std::cos(0.013 * double(i) * (c + 1)));
    crops.push_back(tensor(values, {(last - first) * kBatch, 3, side, side}).to(dtype));
  }
  return crops;
}

double sum_of_squares(const nn::ModuleBase& model) {
  double sum = 0;
  for (const ag::Parameter* p : model.parameters()) sum += std::pow(core::norm(p->value()), 2);
  return sum;
}

At at(int64_t step, double lr = 1e-3, int64_t epoch = 0) {
  return {.epoch = epoch, .step = step, .lr = lr, .weight_decay = 0.1};
}

}  // namespace

TEST_CASE("six steps of DINO give the published trace") {
  const auto expected = test::golden()["dino_train"];
  TinyDino tiny(/*norm_last_layer=*/false);
  test::fill_golden(tiny.dino.student, expected["tensor_order"]);
  nn::copy_state(tiny.dino.teacher, tiny.dino.student);
  for (int64_t it = 0; it < 6; ++it) {
    CAPTURE(it);
    const auto& step = expected["steps"][size_t(it)];
    const int64_t epoch = it / 3;
    const auto number = [&](const char* name) { return expected[name][size_t(it)].get<double>(); };
    const auto result = tiny.dino(crops_of(it, DType::f64),
                                  {.epoch = epoch, .step = it, .lr = number("lr"), .weight_decay = number("wd")},
                                  {.teacher_temp = epoch == 0 ? 0.04 : 0.07, .teacher_momentum = number("momentum")});
    CHECK(std::abs(result.loss - step["loss"].get<double>()) < 1e-9);
    CHECK(std::abs(tiny.dino.center.value().to_vector()[0] - step["center"][0].get<double>()) < 1e-9);
    int clipped = 0;
    for (const double norm : result.grad_norms.each) clipped += 0.05 / (norm + 1e-6) < 1;
    CHECK(clipped == step["n_clipped"].get<int>());
    CHECK(std::abs(sum_of_squares(tiny.dino.student) - step["s_sq"].get<double>()) < 1e-8);
    CHECK(std::abs(sum_of_squares(tiny.dino.teacher) - step["t_sq"].get<double>()) < 1e-8);
  }
}

TEST_CASE("the loss and the centre of a small example") {
  const Tensor student = tensor<double>({.20, -.10, .05, 0, .30, -.20, .10, 0, -.05,  //
                                         -.15, .25, .10, .05, .05, 0, .10, -.20, .30},
                                        {6, 3});
  const Tensor teacher = tensor<double>({.30, -.20, .10, .05, .20, -.10, .15, 0, -.10, -.05, .30, 0}, {4, 3});
  nn::DinoCenter center(3, 0.9, DType::f64);
  center.set(tensor<double>({.02, .05, -.03}, {1, 3}));
  CHECK(nn::dino_loss(student, center.targets(teacher, 0.04), 3, 2, 0.1).value().item() ==
        doctest::Approx(1.660535089).epsilon(1e-9));
  center.update(teacher);
  CHECK(test::max_difference(center.value(), tensor<double>({.02925, .0525, -.0295}, {1, 3})) < 1e-15);
  CHECK_THROWS_WITH_AS(nn::dino_loss(student, teacher, 5, 2, 0.1), doctest::Contains("5 and 2 views"), ShapeError);
  CHECK_THROWS_AS(nn::dino_loss(student, teacher, 3, 1, 0.1), ShapeError);
  CHECK_THROWS_WITH_AS(center.set(teacher), doctest::Contains("needs [1, 3]"), ShapeError);
}

TEST_CASE("a frozen last layer is left alone altogether") {
  for (const bool norm_last_layer : {true, false}) {
    CAPTURE(norm_last_layer);
    TinyDino tiny(norm_last_layer, DType::f32);
    nn::WeightNormLinear& last = tiny.dino.student.head.last_layer;
    const Tensor v = last.weight_v.value().clone(), g = last.weight_g.value().clone();
    const auto steps_of = [&](const char* name) {
      return tiny.dino.state().at(std::string("optimizer/head.") + name + "/step").item();
    };
    tiny.dino(crops_of(0, DType::f32), at(0), {});
    CHECK(test::max_difference(last.weight_v.value(), v) == 0);  // no update and no decay
    CHECK(test::max_difference(last.weight_g.value(), g) == 0);
    CHECK(steps_of("last_layer.weight_v") == 0);
    CHECK_FALSE(tiny.dino.state().contains("optimizer/head.last_layer.weight_v/exp_avg"));
    CHECK(steps_of("mlp.0.weight") == 1);
    tiny.dino(crops_of(1, DType::f32), at(1, 1e-3, /*epoch=*/1), {});
    CHECK(test::max_difference(last.weight_v.value(), v) > 0);
    CHECK((test::max_difference(last.weight_g.value(), g) > 0) == !norm_last_layer);
    CHECK(steps_of("last_layer.weight_v") == 1);
    CHECK(steps_of("mlp.0.weight") == 2);
  }
}

TEST_CASE("a step of DINO that is not finite changes nothing") {
  TinyDino tiny(true, DType::f32);
  std::vector<Tensor> crops = crops_of(0, DType::f32);
  crops[1].fill_(std::numeric_limits<double>::infinity());
  const double before = sum_of_squares(tiny.dino.student);
  CHECK_THROWS_WITH_AS(tiny.dino(crops, at(4), {}), doctest::Contains("at step 5"), NumericError);
  CHECK(sum_of_squares(tiny.dino.student) == before);
  CHECK(core::norm(tiny.dino.center.value()) == 0);
}

TEST_CASE("the state of DINO goes into another network whole") {
  TinyDino a(true, DType::f32), b(true, DType::f32);
  a.dino(crops_of(0, DType::f32), at(0), {});
  b.dino.load_state(a.dino.state());
  const double loss_a = a.dino(crops_of(1, DType::f32), at(1), {}).loss;
  const double loss_b = b.dino(crops_of(1, DType::f32), at(1), {}).loss;
  CHECK(loss_a == loss_b);
  TensorMap broken = a.dino.state();
  broken.erase("center");
  CHECK_THROWS_WITH_AS(b.dino.load_state(broken), doctest::Contains("center is missing"), IoError);
}

TEST_CASE("a residual network can be DINO's backbone") {
  const nn::MakeBackbone make = [](const nn::Scope& scope) {
    nn::ResNetConfig config = nn::resnet_variant("resnet20");
    config.num_classes = 0;
    return std::make_unique<nn::ResNet>(scope, config);
  };
  DinoStep dino(nn::Scope(3), make, make, adamw,
                {.views = 5, .head = {.out_dim = 8, .hidden_dim = 4, .bottleneck_dim = 4, .num_layers = 1}});
  const Tensor weight = dino.teacher.parameter("backbone.conv1.weight").value().clone();
  CHECK(dino.teacher.parameter("head.mlp.weight").shape() == Shape{4, 64});
  CHECK(std::isfinite(dino(crops_of(0, DType::f32), at(0), {}).loss));
  CHECK(test::max_difference(dino.teacher.parameter("backbone.conv1.weight").value(), weight) > 0);
}
