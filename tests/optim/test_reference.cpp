#include "tests/support/close.h"
#include "tests/support/reference.h"
#include "tools/reference/reference_case.h"

using namespace vitrail;

TEST_CASE("optimizers, schedules, clipping and averages agree with the official implementations") {
  const auto path = test::reference_path("optim.h5");
  if (!path) return;
  const hdf5::Reader file(*path);
  const auto cases = reference::reference_cases(file);
  CHECK(cases.size() == 49);
  for (const auto& c : cases) {
    REQUIRE(c.run);
    for (const DType dtype : {DType::f32, DType::f64}) {
      const reference::Outcome outcome = c.run(file, c.path, dtype);
      CAPTURE(c.path);
      CAPTURE(dtype);
      CAPTURE(outcome.worst());
      CAPTURE(outcome.tolerance());
      CHECK(outcome.pass());
    }
  }
}

TEST_CASE("an outcome keeps the error worst for its tolerance") {
  reference::Outcome outcome;
  CHECK_FALSE(outcome.pass());
  outcome.add(1e-6, 1e-5);
  outcome.add(2e-6, 1e-4);
  CHECK(outcome.worst() == 1e-6);
  CHECK(outcome.pass());
  reference::Outcome exact;
  exact.add(0, 0);
  CHECK(exact.pass());
  exact.add(3, 0);
  exact.add(0, 0);
  CHECK(exact.worst() == 3);
  CHECK_FALSE(exact.pass());
}
