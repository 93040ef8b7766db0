#include "tests/support/close.h"
#include "tests/support/reference.h"
#include "tools/reference/reference_case.h"

#include <string>

using namespace vitrail;

TEST_CASE("transformers, cross entropies and distillation agree with the official implementations") {
  for (const std::string name : {"vit_forward_backward.h5", "losses.h5", "deit_step.h5"}) {
    const auto path = test::reference_path(name);
    if (!path) continue;
    const hdf5::Reader file(*path);
    int known = 0;
    for (const auto& c : reference::reference_cases(file)) {
      if (!c.run) continue;  // no code here for this case
      ++known;
      for (const DType dtype : {DType::f32, DType::f64}) {
        const reference::Outcome outcome = c.run(file, c.path, dtype);
        CAPTURE(c.path);
        CAPTURE(dtype);
        CAPTURE(outcome.worst());
        CAPTURE(outcome.tolerance());
        CHECK(outcome.pass());
      }
    }
    CHECK(known >= (name == "deit_step.h5" ? 3 : 10));
  }
}
