#include "tests/support/close.h"
#include "tests/support/reference.h"
#include "tools/reference/reference_case.h"

#include <string>

using namespace vitrail;

TEST_CASE("training runs and evaluations agree with the official implementations") {
  for (const std::string name : {"dino_trajectory.h5", "knn.h5"}) {
    const auto path = test::reference_path(name);
    if (!path) continue;
    const hdf5::Reader file(*path);
    for (const auto& c : reference::reference_cases(file)) {
      CAPTURE(c.path);
      REQUIRE(c.run);
      for (const DType dtype : {DType::f32, DType::f64}) {
        const reference::Outcome outcome = c.run(file, c.path, dtype);
        CAPTURE(dtype);
        CAPTURE(outcome.worst());
        CAPTURE(outcome.tolerance());
        CHECK(outcome.pass());
      }
    }
  }
}
