#include "tests/support/close.h"
#include "vitrail/autograd/ops.h"
#include "vitrail/core/error.h"
#include "vitrail/nn/losses/contrastive.h"
#include "vitrail/optim/sgd.h"
#include "vitrail/optim/update.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>

using namespace vitrail;

namespace {

/// Two weights in f64; the loss of rows x [B, 3] is the mean of (x w)^2, times the square of scale.
struct Model {
  ag::Parameter w{"w", tensor<double>({1, -2, 0.5}, {3, 1})};
  ag::Parameter scale{"scale", tensor<double>({1.5}, {})};
  optim::Sgd optimizer{{{.parameters = {&w, &scale}}}};

  std::vector<ag::Parameter*> parameters() { return {&w, &scale}; }
  ag::Var loss(const Tensor& x) {
    const ag::Var y = matmul(x, w);
    return mean(y * y) * (ag::Var(scale) * ag::Var(scale));
  }
};

const Tensor kRows = tensor<double>({1, 2, 3, -1, 0, 2, 4, 1, 1, 0, -2, 5}, {4, 3});

optim::At at(double lr = 0.1) { return {.step = 4, .lr = lr}; }

}  // namespace

TEST_CASE("an update is zeroed gradients, a sweep and a step") {
  Model by_hand, model;
  ag::Tape tape;
  const ag::Var expected = by_hand.loss(kRows);
  tape.backward(expected);
  by_hand.optimizer.step(0.1, 0);

  for (ag::Parameter* p : model.parameters()) p->grad() = ones(p->shape(), DType::f64);  // left by an earlier step
  optim::Update update(model.parameters(), model.optimizer, at());
  const double loss = update.backward([&] { return model.loss(kRows); });
  CHECK(loss == expected.value().item());
  const optim::GradNorms norms = update.clip();
  CHECK(norms.each.empty());
  CHECK(norms.total == doctest::Approx(std::hypot(core::norm(model.w.grad()), core::norm(model.scale.grad()))));
  update.step();
  CHECK(model.w.value().to_vector() == by_hand.w.value().to_vector());
  CHECK(model.scale.value().to_vector() == by_hand.scale.value().to_vector());
}

TEST_CASE("micro-batches have the gradient of the whole, and hooks see it once") {
  Model whole, parts;
  optim::Update one(whole.parameters(), whole.optimizer, at());
  one.backward([&] { return whole.loss(kRows); });

  std::map<std::string, std::vector<double>> seen;
  int calls = 0;
  const ag::GradHook hook([&](ag::Parameter& p) {
    ++calls;
    seen[p.name()] = p.grad().to_vector();
  });
  optim::Update update(parts.parameters(), parts.optimizer, at());
  double loss = 0;
  for (int64_t i = 0; i < 4; ++i) {
    CHECK(calls == 0);
    loss += update.backward([&] { return parts.loss(kRows.slice(0, i, i + 1)); }, 0.25) / 4;
  }
  CHECK(calls == 2);
  CHECK(loss == doctest::Approx(whole.loss(kRows).value().item()));
  CHECK(test::max_difference(parts.w.grad(), whole.w.grad()) < 1e-12);
  CHECK(seen.at("w") == parts.w.grad().to_vector());
  CHECK(seen.at("scale") == parts.scale.grad().to_vector());
  update.clip();
  CHECK(calls == 2);
}

TEST_CASE("a parameter that the last micro-batch does not reach is final at the clipping") {
  Model model;
  std::vector<std::string> fired;
  const ag::GradHook hook([&](ag::Parameter& p) { fired.push_back(p.name()); });
  optim::Update update(model.parameters(), model.optimizer, at());
  update.backward([&] { return model.loss(kRows); }, 1.0 / 3);
  update.backward([&] { return model.loss(kRows); }, 1.0 / 3);
  update.backward([&] { return sum(ag::Var(model.scale)); }, 1.0 / 3);
  CHECK(fired == std::vector<std::string>{"scale"});
  update.clip();
  CHECK(fired == std::vector<std::string>{"scale", "w"});
}

TEST_CASE("hooks see the gradients of cached_backward once, whole") {
  Model model;
  const auto tower = [&](int64_t i) { return matmul(kRows.slice(0, 2 * i, 2 * i + 2), model.w); };
  const auto loss = [&](const std::vector<ag::Var>& f) { return mean(f[0] * f[1]) * model.scale; };
  std::map<std::string, std::vector<double>> seen;
  int calls = 0;
  const ag::GradHook hook([&](ag::Parameter& p) {
    ++calls;
    seen[p.name()] = p.grad().to_vector();
  });
  optim::Update update(model.parameters(), model.optimizer, at());
  // The second tower acts as frozen, because its features are constants.
  const auto constant = [&](int64_t i) { return kRows.slice(0, 2 * i, 2 * i + 2).slice(1, 0, 1); };
  update.backward_with([&] { return nn::cached_backward({tower, constant}, 2, loss).item(); });
  CHECK(calls == 2);
  CHECK(seen.at("w") == model.w.grad().to_vector());
  update.clip();
  CHECK(calls == 2);
}

TEST_CASE("clipping all gradients together or each by itself") {
  Model model;
  for (const bool each : {false, true}) {
    CAPTURE(each);
    optim::Update update(model.parameters(), model.optimizer, at(),
                         {.max_norm = 0.01, .clip_by = each ? optim::ClipBy::parameter : optim::ClipBy::all});
    update.backward([&] { return model.loss(kRows); });
    const optim::GradNorms norms = update.clip();
    CHECK(norms.each.size() == (each ? 2 : 0));
    const double w = core::norm(model.w.grad()), scale = core::norm(model.scale.grad());
    CHECK((each ? w : std::hypot(w, scale)) == doctest::Approx(0.01).epsilon(1e-3));
    if (each) CHECK(norms.total == doctest::Approx(std::hypot(norms.each[0], norms.each[1])));
    CHECK(norms.total > 1);
  }
}

TEST_CASE("the gradients of each network are clipped together") {
  ag::Parameter w{"backbone.w", tensor<double>({1, -2, 0.5}, {3, 1})}, b{"backbone.b", tensor<double>({0.25}, {1})};
  ag::Parameter head{"head.w", tensor<double>({1.5}, {1, 1})};
  optim::Sgd optimizer{{{.parameters = {&w, &b, &head}}}};
  optim::Update update({&w, &b, &head}, optimizer, at(), {.max_norm = 0.01, .clip_by = optim::ClipBy::network});
  update.backward([&] { return sum(matmul(matmul(kRows, w) + ag::Var(b), head)); });
  const auto backbone_norm = [&] { return std::hypot(core::norm(w.grad()), core::norm(b.grad())); };
  const double backbone = backbone_norm(), of_head = core::norm(head.grad());
  const optim::GradNorms norms = update.clip();
  REQUIRE(norms.each.size() == 2);
  CHECK(norms.each[0] == doctest::Approx(backbone));
  CHECK(norms.each[1] == doctest::Approx(of_head));
  CHECK(norms.total == doctest::Approx(std::hypot(backbone, of_head)));
  CHECK(backbone_norm() == doctest::Approx(0.01).epsilon(1e-3));
  CHECK(core::norm(head.grad()) == doctest::Approx(0.01).epsilon(1e-3));
}

TEST_CASE("a loss or gradient that is not finite stops the update before the weights change") {
  Model model;
  const auto before = model.w.value().to_vector();
  optim::Update update(model.parameters(), model.optimizer, at(0.25));
  CHECK_THROWS_WITH_AS(update.backward([&] { return model.loss(kRows) * std::numeric_limits<double>::infinity(); }),
                       doctest::Contains("loss is inf at step 5 (epoch 1, lr 0.25)"), NumericError);
  CHECK_THROWS_AS(update.backward_with([] { return std::numeric_limits<double>::quiet_NaN(); }), NumericError);
  const auto steep = [&] { return sum(sqrt(ag::Var(model.w) * 0.0)); };  // finite, with a slope that is not
  for (const bool each : {false, true}) {
    optim::Update other(model.parameters(), model.optimizer, at(),
                        {.clip_by = each ? optim::ClipBy::parameter : optim::ClipBy::all});
    other.backward(steep);
    CHECK_THROWS_WITH_AS(other.clip(), doctest::Contains(each ? "gradient norm of w" : "gradient norm is"),
                         NumericError);
  }
  CHECK(model.w.value().to_vector() == before);
}
