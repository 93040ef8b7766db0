#include "tests/optim/parameters.h"
#include "tests/support/close.h"
#include "tests/support/reference.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/hdf5.h"
#include "vitrail/optim/ema.h"

using namespace vitrail;
using namespace vitrail::optim;
using test::Parameters;

TEST_CASE("an average of parameters") {
  Parameters teacher, student;
  teacher.add("w", full({2}, 1, DType::f64));
  student.add("w", full({2}, 2, DType::f64));
  ema_update(teacher.all(), student.all(), 0.75);
  CHECK(teacher.all()[0]->value().to_vector() == std::vector<double>{1.25, 1.25});
  CHECK(student.all()[0]->value().to_vector() == std::vector<double>{2, 2});
  ema_update(teacher.all(), student.all(), 0);
  CHECK(teacher.all()[0]->value().to_vector() == std::vector<double>{2, 2});
}

TEST_CASE("an average needs the same parameters") {
  Parameters teacher, student, other;
  teacher.add("w", Shape{2});
  student.add("v", Shape{2});
  other.add("w", Shape{3});
  CHECK_THROWS_WITH_AS(ema_update(teacher.all(), student.all(), 0.5),
                       "[ema_update] parameter 0 of the average is 'w', of the model 'v'", ConfigError);
  CHECK_THROWS_WITH_AS(ema_update(teacher.all(), {}, 0.5), "[ema_update] the average has 1 parameters, the model 0",
                       ConfigError);
  CHECK_THROWS_AS(ema_update(teacher.all(), other.all(), 0.5), ShapeError);
}

TEST_CASE("the warm-up of timm's third average") {
  const auto path = test::reference_path("optim.h5");
  if (!path) return;
  const auto expected = hdf5::Reader(*path).read("ema/timm_v3_warmup/decay").to_vector();
  for (size_t i = 0; i < expected.size(); ++i)
    CHECK(ema_warmup(int64_t(i), 0.9999) == doctest::Approx(expected[i]).epsilon(1e-12));
  CHECK(ema_warmup(1'000'000'000, 0.999) == 0.999);
}

TEST_CASE("ModelEma averages weights, copies counters, and saves itself") {
  TensorMap model = {{"w", full({2}, 1)}, {"count", scalar(1, DType::i64)}};
  ModelEma ema(model);
  model = {{"w", full({2}, 3)}, {"count", scalar(2, DType::i64)}};
  ema.update(model, 0.5);
  CHECK(ema.state().at("w").to_vector() == std::vector<double>{2, 2});
  CHECK(ema.state().at("count").item() == 2);

  ModelEma other(model);
  other.load_state(ema.state());
  ema.update(model, 0.5);
  CHECK(other.state().at("w").to_vector() == std::vector<double>{2, 2});
  other.update(model, 0.5);
  CHECK(other.state().at("w").to_vector() == ema.state().at("w").to_vector());

  TensorMap wrong = model;
  wrong["v"] = zeros({1});
  CHECK_THROWS_WITH_AS(other.load_state(wrong), "[load_state] the average has no 'v'", ConfigError);
  wrong = model;
  wrong.erase("w");
  CHECK_THROWS_WITH_AS(other.update(wrong, 0.5), "[ema_update] 'w' is in the average only", ConfigError);
  wrong["w"] = zeros({3});
  CHECK_THROWS_WITH_AS(other.update(wrong, 0.5), "[ema_update] 'w' is f32 [3], in the average f32 [2]", ShapeError);
}
