// A run is defined by its shards: any number of ranks that shares them trains to the same bits.
#include "tests/support/training_run.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/comm/comm.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/recipes/models/open_run.h"

#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <mutex>

using namespace vitrail;
using namespace vitrail::recipes;
namespace fs = std::filesystem;

namespace {

const fs::path kRecipes = fs::path(VITRAIL_SOURCE_DIR) / "recipes";

std::string bytes_of(const TensorMap& state) {
  std::string bytes;
  for (const auto& [name, tensor] : state) {
    const Tensor dense = tensor.contiguous();
    bytes += name + ":";
    bytes.append(reinterpret_cast<const char*>(dense.raw()), size_t(dense.nbytes()));
  }
  return bytes;
}

struct Trained {
  std::string state;  // bytes of Recipe::state()
  Stats stats;        // of the last step
  bool operator==(const Trained&) const = default;
};

/// Three steps from the start, on this thread's rank.
Trained train_here(const std::string& file, const std::vector<std::string>& changes) {
  const auto recipe = read_settings(kRecipes / file, changes)->build();
  recipe->begin();
  const Plan& plan = recipe->plan();
  const Shards shards = shards_of_rank(plan.shards);
  const auto loader = recipe->load({});
  Trained result;
  for (int64_t step = 0; step < 3; ++step) {
    const ag::RandomScope random(plan.seed, uint64_t(step));
    const ag::Autocast precision(plan.compute);
    result.stats = recipe->step_shards(
        next_step(*loader, shards),
        {.step = step, .lr = 1e-3, .weight_decay = plan.weight_decay(double(step)), .shards = shards});
  }
  result.state = bytes_of(recipe->state());
  return result;
}

/// The same on every one of `ranks` ranks; they must agree.
Trained train_on(int ranks, const std::string& file, const std::vector<std::string>& changes) {
  std::mutex guard;
  std::vector<Trained> all;
  run_ranks(ranks, [&] {
    Trained mine = train_here(file, changes);
    const std::scoped_lock lock(guard);
    all.push_back(std::move(mine));
  });
  for (const Trained& other : all) CHECK(other == all.front());
  return all.front();
}

struct Method {
  std::string name, recipe;
  std::vector<std::string> changes;
};

/// Small models of each method, with all that is random in them.
std::vector<Method> methods_in_shards() {
  const std::vector<std::string> vit = {"model.embed_dim=16", "model.depth=2", "model.drop_rate=0.1"};
  const std::vector<std::string> dino = {
      "model.embed_dim=24",    "model.depth=2",        "model.drop_path_rate=0.2", "data.img_size=16",
      "crops.local_size=8",    "crops.local_number=2", "head.out_dim=32",          "head.hidden_dim=16",
      "head.bottleneck_dim=8", "train.batch_size=24",  "train.freeze_last_layer=0"};
  const auto with = [](std::vector<std::string> changes, const std::vector<std::string>& more) {
    changes.insert(changes.end(), more.begin(), more.end());
    return changes;
  };
  const std::string assets = (kRecipes / "assets").string();
  return {
      {"ViT with Mixup, CutMix and an average", "vit_digits.yaml",
       with(vit, {"train.batch_size=48", "train.mixup=0.8", "train.cutmix=1", "train.ema_decay=0.9"})},
      {"ResNet with BatchNorm",
       "resnet_cifar10.yaml",
       {"data.root=" + assets + "/digits8", "data.img_size=8", "model.width=4", "train.batch_size=48"}},
      {"DINO", "dino_emoji.yaml", dino},
      {"DINO in bf16", "dino_emoji.yaml", with(dino, {"precision=bf16"})},
      {"DINO on a ResNet", "dino_cifar10.yaml",
       with({"data.root=" + assets + "/emoji", "model.width=4"}, {dino.begin() + 3, dino.end()})},
  };
}

}  // namespace

TEST_CASE("shards: 1, 2 and 4 ranks train to the same bytes, and 3 of 12") {
  for (const Method& method : methods_in_shards()) {
    CAPTURE(method.name);
    std::vector<std::string> changes = method.changes;
    changes.emplace_back("train.shards=4");
    const Trained alone = train_here(method.recipe, changes);
    for (const int ranks : {2, 4}) {
      CAPTURE(ranks);
      CHECK((train_on(ranks, method.recipe, changes) == alone));
    }
    changes.back() = "train.shards=12";
    CHECK((train_on(3, method.recipe, changes) == train_here(method.recipe, changes)));
    changes.back() = "train.shards=1";
    CHECK((train_here(method.recipe, changes).state != alone.state));  // each shard draws and normalises by itself
  }
}

TEST_CASE("shards: a loss that is not finite on one rank is an error on all") {
  std::mutex guard;
  int errors = 0;
  run_ranks(2, [&] {
    const auto recipe =
        read_settings(kRecipes / "vit_digits.yaml", std::vector<std::string>{"model.depth=1", "train.shards=2"})
            ->build();
    const Shards shards = shards_of_rank(2);
    auto batches = next_step(*recipe->load({}), shards);
    if (comm().rank() == 1) batches[0].tensors.at("images").fill_(std::nan(""));
    try {
      recipe->step_shards(batches, {.lr = 1e-3, .shards = shards});
    } catch (const NumericError& error) {
      const std::scoped_lock lock(guard);
      errors += std::string(error.what()).find("loss is nan") != std::string::npos;
    }
  });
  CHECK(errors == 2);
}

TEST_CASE("shards: ranks that cannot share them are told which can") {
  run_ranks(3, [] {
    CHECK_THROWS_WITH_AS(shards_of_rank(8), "[train.shards] 3 ranks cannot share 8 shards; 1, 2, 4, 8 ranks can",
                         ConfigError);
    CHECK(shards_of_rank(12) == Shards{.all = 12, .first = 4 * comm().rank(), .count = 4});
  });
  CHECK(shards_of_rank(5) == Shards{.all = 5, .first = 0, .count = 5});
}

TEST_CASE("shards: a method that trains on whole batches refuses them by name") {
  const auto recipe =
      read_settings(kRecipes / "dinov2_emoji.yaml", std::vector<std::string>{"train.shards=2"})->build();
  const Shards shards = shards_of_rank(2);
  CHECK_THROWS_WITH_AS(recipe->step_shards(std::vector<data::Batch>(2), {.shards = shards}),
                       doctest::Contains("[train.shards] is 2: this method trains on whole batches"), ConfigError);
}
