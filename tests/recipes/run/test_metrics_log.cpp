#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/recipes/run/metrics_log.h"

#include <doctest/doctest.h>

#include <limits>

using namespace vitrail;
using namespace vitrail::recipes;

TEST_CASE("json_number is the shortest text that reads back") {
  CHECK(json_number(3) == "3");
  CHECK(json_number(-1000000) == "-1000000");
  CHECK(json_number(0.1) == "0.1");
  CHECK(json_number(1.0 / 3) == "0.3333333333333333");
  CHECK(json_number(3.1e-4) == "0.00031");
  CHECK(json_number(1e300) == "1e+300");
  CHECK(json_number(std::numeric_limits<double>::quiet_NaN()) == "null");
}

TEST_CASE("metrics log: lines, rewind, torn last line") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  {
    MetricsLog log(path, 0);
    for (int step = 1; step <= 3; ++step) log.log("train", {{"step", step}, {"time", step * 1.5}});
    CHECK(log.lines() == 3);
    CHECK(log.last_time() == 0);
  }
  CHECK(test::read_text(path) == R"({"t": "train", "step": 1, "time": 1.5}
{"t": "train", "step": 2, "time": 3}
{"t": "train", "step": 3, "time": 4.5}
)");

  SUBCASE("a resumed run goes on after the lines of its checkpoint") {
    MetricsLog log(path, 2);
    CHECK(log.lines() == 2);
    CHECK(log.last_time() == 3);
    log.log("val", {{"step", 2}});
    log.sync();
    CHECK(test::read_text(path) == R"({"t": "train", "step": 1, "time": 1.5}
{"t": "train", "step": 2, "time": 3}
{"t": "val", "step": 2}
)");
  }
  SUBCASE("a torn line does not count") {
    const std::string text = test::read_text(path);
    test::write_text(path, text.substr(0, text.size() - 4));
    MetricsLog log(path, 3);
    CHECK(log.lines() == 2);
    CHECK(test::read_text(path).size() == text.find("{\"t\": \"train\", \"step\": 3"));
  }
}

TEST_CASE("metrics log names a path that cannot be written") {
  const test::TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(MetricsLog(folder.path() / "no/metrics.jsonl", 0),
                       doctest::Contains("no/metrics.jsonl: No such file"), IoError);
}
