// DINOv2's distillation: a frozen teacher in place of the student's average.
#include "tests/support/close.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/training_run.h"
#include "vitrail/core/error.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/methods/dino_data.h"
#include "vitrail/recipes/methods/frozen_teacher.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/write_model.h"
#include "vitrail/recipes/run/checkpoint.h"

#include <doctest/doctest.h>

#include <fstream>

using namespace vitrail;
using namespace vitrail::recipes;
using test::Outcome;
using test::run;
namespace fs = std::filesystem;

namespace {

/// dinov2_emoji.yaml made smaller: three steps an epoch.
struct SmallStudent {
  explicit SmallStudent(const std::vector<std::string>& more) : config(settings) {
    std::vector<std::string> changes = {"model.embed_dim=12",    "model.depth=1",           "data.img_size=32",
                                        "crops.local_number=1",  "head.out_dim=32",         "head.hidden_dim=16",
                                        "head.bottleneck_dim=8", "crops.local_size=16",     "train.epochs=3",
                                        "eval.every=3",          "eval.linear_epochs=0",    "eval.baselines=false",
                                        "train.log_every=1",     "schedule.warmup_epochs=0"};
    changes.insert(changes.end(), more.begin(), more.end());
    config.read(fs::path(VITRAIL_SOURCE_DIR) / "recipes/dinov2_emoji.yaml", changes);
    notes = settings.settle(config);
    recipe = settings.build();
  }

  Dinov2Config settings;
  Config config;
  std::vector<std::string> notes;
  std::unique_ptr<Recipe> recipe;
};

std::string trained_teacher(const fs::path& folder) {
  SmallStudent teacher({"model.embed_dim=24", "model.depth=2", "head.out_dim=48", "head.hidden_dim=24",
                        "ibot.separate_head=true", "ibot.out_dim=40", "train.epochs=1", "data.mean=[0.4, 0.5, 0.6]"});
  CHECK(run(*teacher.recipe, RunFolder::create(folder, "teacher"), teacher.config.yaml(false)).code == 0);
  return folder.string();
}

}  // namespace

TEST_CASE("a student of a frozen teacher has its prototypes and pixels, and goes on bit for bit") {
  const test::TemporaryFolder temp;
  const std::string teacher = trained_teacher(temp.path() / "teacher");
  const std::vector<std::string> changes = {"head.out_dim=48", "distillation.teacher='" + teacher + "'"};
  SmallStudent whole(changes), first(changes), second(changes);
  CHECK(whole.settings.model.drop_path_rate == 0);
  CHECK(whole.settings.ibot.separate_head);
  CHECK(whole.settings.ibot.out_dim == 40);
  CHECK(whole.settings.data.mean == std::vector<double>{0.4, 0.5, 0.6});
  CHECK(whole.notes.back().find("the heads of the run come along") != std::string::npos);

  const RunFolder folder = RunFolder::create(temp.path() / "whole", "student");
  const Outcome expected = run(*whole.recipe, folder, whole.config.yaml(false));
  CHECK(expected.code == 0);
  CHECK(expected.log.find("frozen teacher " + teacher) != std::string::npos);
  const RunFolder parts = RunFolder::create(temp.path() / "parts", "student");
  test::StopAfter stopped(*first.recipe, 5);
  CHECK(run(stopped, parts, first.config.yaml(false)).code == 130);
  CHECK(run(*second.recipe, parts, second.config.yaml(false)).last == expected.last);

  // The teacher is no part of the checkpoint. The model of the run is the student's average.
  const TensorMap state = sub_map(load_checkpoint(folder.last()).tensors, "recipe");
  CHECK(state.at("teacher/backbone.pos_embed").size(2) == 12);
  for (const auto& [name, tensor] : state) CHECK_FALSE(name.starts_with("frozen"));
  CHECK(open_model(folder.path()).backbone->feature_dim() == 12);
  CHECK(test::max_difference(state.at("teacher/backbone.pos_embed"), state.at("student/backbone.pos_embed")) > 0);
}

TEST_CASE("the frozen teacher is the run's teacher, and the student's targets are its outputs on all patches") {
  const test::TemporaryFolder temp;
  const std::string teacher = trained_teacher(temp.path() / "teacher");
  SmallStudent student({"head.out_dim=48", "distillation.teacher='" + teacher + "'", "teacher.momentum=1"});
  const auto step = student.settings.build_step();
  REQUIRE(step->frozen_teacher);
  const TensorMap run_state =
      sub_map(sub_map(load_checkpoint(fs::path(teacher) / "checkpoints/last.h5").tensors, "recipe"), "teacher");
  TensorMap before;
  for (const auto& [name, tensor] : nn::state(*step->frozen_teacher)) {
    before[name] = tensor.clone();
    CHECK(test::max_difference(tensor, run_state.at(name)) == 0);
  }
  const auto loader = student.recipe->load({});
  const auto batch = loader->next();
  const std::vector<Tensor> crops = crops_of(*batch);
  const Tensor all = full({crops[0].size(0), 16}, 1, DType::u8);
  const auto result = (*step)(crops, all, {.epoch = 1, .lr = 1e-3}, {.teacher_temp = 0.05, .teacher_momentum = 1});
  const Tensor scores = step->frozen_teacher->dino_head((*step->frozen_teacher)(crops[0]).classes).value();
  CHECK(test::max_difference(result.teacher_scores, scores) == 0);
  CHECK(result.losses.ibot > 1);  // every patch counts
  for (const auto& [name, tensor] : nn::state(*step->frozen_teacher))
    CHECK(test::max_difference(tensor, before.at(name)) == 0);
}

TEST_CASE("a published model without heads teaches by a random projection, and the student comes nearer to it") {
  const test::TemporaryFolder temp;
  const std::string run_folder = trained_teacher(temp.path() / "teacher");
  const fs::path published = temp.path() / "published";
  write_model(to_published(open_model(run_folder)), "hf", published);
  SmallStudent student({"distillation.teacher='" + published.string() + "'", "train.epochs=12", "optim.lr=0.005",
                        "eval.every=12", "teacher.warmup_epochs=0"});
  CHECK(student.notes.back().find("random projections of its features are the targets") != std::string::npos);
  CHECK(student.settings.head.out_dim == 32);
  const RunFolder folder = RunFolder::create(temp.path() / "student", "student");
  CHECK(run(*student.recipe, folder, student.config.yaml(false)).code == 0);
  double first = 0, last = 0;
  std::ifstream lines(folder / "metrics.jsonl");
  for (std::string line; std::getline(lines, line);) {
    const auto row = nlohmann::json::parse(line);
    if (row["t"] != "epoch") continue;
    if (row["epoch"] == 1) first = row["loss"];
    last = row["loss"];
  }
  CHECK(last < 0.97 * first);
}

TEST_CASE("a teacher of other pixels, patches or prototypes is refused with the keys that fit") {
  const test::TemporaryFolder temp;
  const std::string teacher = "distillation.teacher='" + trained_teacher(temp.path() / "teacher") + "'";
  CHECK_THROWS_WITH_AS(SmallStudent({teacher, "head.out_dim=48", "data.mean=[0.5, 0.5, 0.5]"}),
                       doctest::Contains("data.mean=[0.4, 0.5, 0.6]"), ConfigError);
  CHECK_THROWS_WITH_AS(SmallStudent({teacher, "head.out_dim=48", "model.patch_size=16"}),
                       doctest::Contains("model.patch_size=8 makes them the same"), ConfigError);
  CHECK_THROWS_WITH_AS(SmallStudent({teacher, "head.out_dim=32"}),
                       doctest::Contains("head.out_dim=48 ibot.separate_head=true ibot.out_dim=40"), ConfigError);
}
