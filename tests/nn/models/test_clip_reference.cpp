#include "tests/support/close.h"
#include "tests/support/reference.h"
#include "tools/reference/reference_case.h"

using namespace vitrail;

TEST_CASE("training of CLIP agrees with the official implementations, step by step") {
  const auto path = test::reference_path("clip_trajectory.h5");
  if (!path) return;
  const hdf5::Reader file(*path);
  const auto cases = reference::reference_cases(file);
  CHECK(cases.size() == 3);
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
