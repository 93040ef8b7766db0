#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/recipes/run/progress.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace vitrail;
using namespace vitrail::recipes;

namespace {

ProgressView example() {
  ProgressView v;
  v.epoch = 3, v.epochs = 20, v.step = 120, v.steps = 4000;
  v.stats = {{"loss", 1.8123}, {"acc", 0.4119}, {"lr", 3.1e-4}, {"grad_norm", 1.9}};
  v.units_per_s = 812.3, v.data_share = 0.034, v.memory = int64_t(2.1 * (1 << 30)), v.seconds_left = 72;
  return v;
}

}  // namespace

TEST_CASE("the line of progress") {
  CHECK(progress_line(example(), 200) ==
        "epoch 3/20 step 120/4000 loss 1.812 acc 41.19% lr 3.1e-4 gnorm 1.900 812 img/s data 3% mem 2.1G eta 01:12");

  SUBCASE("gives up what matters least and never passes the width") {
    for (int width = 0; width < 120; ++width) CHECK(progress_line(example(), width).size() <= size_t(width));
    CHECK(progress_line(example(), 50) == "epoch 3/20 step 120/4000 loss 1.812 eta 01:12");
  }
  SUBCASE("of an evaluation") {
    ProgressView v = example();
    v.phase = "eval", v.step = 3, v.steps = 16;
    CHECK(progress_line(v, 80) == "epoch 3/20 eval 3/16");
  }
}

TEST_CASE("numbers of a report read as in vitrail eval") {
  CHECK(count_text(7) == "7");
  CHECK(count_text(3068) == "3,068");
  CHECK(count_text(21665128) == "21,665,128");
  CHECK(count_text(100) == "100");
  CHECK(several(1, "epoch") == "1 epoch");
  CHECK(several(2000, "step") == "2,000 steps");
  CHECK(stat_text("loss", 2.04971) == "loss 2.0497");
  for (const char* share :
       {"acc", "top1", "ema_top5", "knn_top1", "zero_shot_top10", "i2t_r1", "t2i_r10", "retrieval_map"})
    CHECK(stat_text(share, 0.2522) == std::string(share) + " 25.22%");
  CHECK(stat_text("i2t_median_rank", 3) == "i2t_median_rank 3.0000");
}

TEST_CASE("a stream that cannot be written does not end a run") {
  std::FILE* const full = std::fopen("/dev/full", "w");
  REQUIRE(full != nullptr);
  {
    Progress progress(full, true, 0);
    for (int i = 0; i < 100; ++i) progress.message(std::string(1000, 'x'));
    progress.update(example());
  }
  std::fclose(full);
}

TEST_CASE("clock_text") {
  CHECK(clock_text(0) == "00:00");
  CHECK(clock_text(59.6) == "01:00");
  CHECK(clock_text(7540) == "2:05:40");
  CHECK(clock_text(3 * 86400 + 4 * 3600 + 600) == "3d 04:10");
  CHECK(clock_text(-1) == "--:--");
  CHECK(clock_text(std::nan("")) == "--:--");
  CHECK(clock_text(1e300) == "--:--");
}

TEST_CASE("an epoch that waits for images has a hint, a short one does not") {
  const std::string hint = waiting_hint(100, 91).value();
  CHECK(hint.starts_with("91% of the epoch was spent waiting for images"));
  CHECK(hint.find("vitrail pack --side N") != std::string::npos);
  CHECK_FALSE(waiting_hint(100, 49));
  CHECK_FALSE(waiting_hint(9, 9));
}

TEST_CASE("speed forgets the past slowly") {
  Speed speed;
  CHECK(speed.seconds_per_step() == 0);
  CHECK(speed.data_share() == 0);
  speed.add(1, 0.5);
  CHECK(speed.seconds_per_step() == 1);
  CHECK(speed.data_share() == 0.5);
  speed.add(3, 0.5);
  CHECK(speed.seconds_per_step() == 2);
  for (int i = 0; i < 1000; ++i) speed.add(0.1, 0);
  CHECK(speed.seconds_per_step() == doctest::Approx(0.1).epsilon(1e-3));
  CHECK(speed.data_share() < 1e-3);
}

TEST_CASE("a file gets plain lines, one an interval") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "log";
  std::FILE* file = std::fopen(path.c_str(), "w");
  {
    Progress progress(file, false, 1000);
    for (int i = 0; i < 5; ++i) progress.update(example());
    progress.message("saved");
  }
  std::fclose(file);
  CHECK(test::read_text(path) == progress_line(example(), 1000) + "\nsaved\n");
}
