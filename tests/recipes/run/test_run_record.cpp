#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/recipes/run/metrics_log.h"
#include "vitrail/recipes/run/run_record.h"

#include <doctest/doctest.h>

#include <limits>

using namespace vitrail;
using namespace vitrail::recipes;

TEST_CASE("a run's record is what its log said") {
  const test::TemporaryFolder temp;
  const RunFiles files(temp.path());
  CHECK_THROWS_WITH_AS(read_run(temp.path()), doctest::Contains("metrics.jsonl: no such file"), ConfigError);
  {
    MetricsLog log(files.metrics(), 0);
    log.log("train", {{"step", 1}, {"loss", 2.5}});
    log.log("train", {{"step", 2}, {"loss", std::numeric_limits<double>::quiet_NaN()}});
    log.log("val", {{"step", 2}, {"epoch", 1}, {"top1", 0.5}});
    log.log("train", {{"step", 3}, {"loss", 1.5}});
  }
  test::write_text(files.metrics(), test::read_text(files.metrics()) + "{\"t\": \"train\", \"st");  // a crash

  const RunRecord run = read_run(temp.path() / "");
  CHECK(run.name() == temp.path().filename());
  REQUIRE(run.rows.size() == 4);
  CHECK(run.rows[0].type == "train");
  CHECK(run.rows[0].values == Stats{{"step", 1}, {"loss", 2.5}});
  CHECK(run.rows[1].values == Stats{{"step", 2}});
  CHECK(run.names("val") == std::vector<std::string>{"epoch", "step", "top1"});
  const RunRecord::Series loss = run.series("train", "step", "loss");
  CHECK(loss.x == std::vector<double>{1, 3});
  CHECK(loss.y == std::vector<double>{2.5, 1.5});
  CHECK(run.series("train", "step", "top1").x.empty());
}
