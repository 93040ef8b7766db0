#include "vitrail/recipes/run/ranks.h"

#include "vitrail/autograd/scope.h"
#include "vitrail/autograd/tape.h"
#include "vitrail/core/comm/comm.h"
#include "vitrail/core/comm/open_ranks.h"
#include "vitrail/core/error.h"
#include "vitrail/recipes/run/exit_code.h"
#include "vitrail/recipes/run/signals.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

namespace vitrail::recipes {
namespace {

/// Rank 0's bytes in the place of the others'.
void share(std::span<std::byte> bytes) {
  std::vector<std::byte> copy(bytes.begin(), bytes.end());
  comm().broadcast(copy);
  std::ranges::copy(copy, bytes.begin());
}

/// Name, type and sizes of each tensor.
std::string contents_of(const TensorMap& tensors) {
  std::string text;
  for (const auto& [name, tensor] : tensors) {
    text += name + '\n' + to_string(tensor.dtype()) + '\n';
    for (int axis = 0; axis < tensor.rank(); ++axis) text += std::to_string(tensor.size(axis)) + ' ';
    text += '\n';
  }
  return text;
}

TensorMap empty_tensors(const std::string& contents) {
  TensorMap tensors;
  std::istringstream lines(contents);
  for (std::string name, type, sizes;
       std::getline(lines, name) && std::getline(lines, type) && std::getline(lines, sizes);) {
    Shape shape;
    std::istringstream numbers(sizes);
    for (int64_t size = 0; numbers >> size;) shape = shape.insert(shape.rank(), size);
    tensors.emplace(name, Tensor::empty(shape, parse_dtype(type)));
  }
  return tensors;
}

}  // namespace

bool leads() { return comm().rank() == 0; }

Shards shards_of_plan(const Plan& plan) {
  check<ConfigError>(comm().size() == 1 || plan.shards > 1, "train.shards",
                     "is 1, and {} ranks were started: a run that began in one process has one shard, and so have "
                     "methods that train on whole batches; start one process",
                     comm().size());
  return shards_of_rank(plan.shards);
}

TensorMap from_lead(const TensorMap& tensors) {
  if (comm().size() == 1) return tensors;
  const std::string mine = leads() ? contents_of(tensors) : "";
  const auto own = std::as_bytes(std::span(mine));
  std::vector<std::byte> contents(own.begin(), own.end());
  comm().broadcast(contents);
  TensorMap all = leads() ? tensors : empty_tensors({reinterpret_cast<const char*>(contents.data()), contents.size()});
  for (auto& [name, tensor] : all) {
    Tensor dense = tensor.contiguous();
    share({dense.raw(), size_t(dense.nbytes())});
    tensor = dense;
  }
  return all;
}

Requests requests_of_all() {
  const Requests mine{.stop = Signals::stop(), .checkpoint = Signals::take_checkpoint_request()};
  if (comm().size() == 1) return mine;
  Requests all;
  for (const Requests& of_rank : gather_values(mine)) {
    if (all.stop == 0) all.stop = of_rank.stop;
    all.checkpoint = all.checkpoint || of_rank.checkpoint;
  }
  return all;
}

Stats guarded_step(Recipe& recipe, std::span<const data::Batch> shards, const At& at,
                   const std::function<void(const std::string&)>& say) {
  const auto attempt = [&] {
    const ag::RandomScope random(recipe.plan().seed, uint64_t(at.step));
    const ag::Autocast precision(recipe.plan().compute);
    return recipe.step_shards(shards, at);
  };
  try {
    return attempt();
  } catch (const NumericError& error) {
    say(error.what());
    say("running the step again to find the first operation at fault");
    const ag::TraceNonFinite trace;
    attempt();
    throw;
  }
}

Command from_lead(const Command& command) {
  Command shared = command;
  if (comm().size() > 1) share(std::as_writable_bytes(std::span(&shared, 1)));
  return shared;
}

int follow_training(Recipe& recipe) {
  const Signals signals;
  const Plan plan = recipe.plan();
  const Shards shards = shards_of_plan(plan);
  int64_t step = from_lead(TensorMap{}).at("step").span<int64_t>()[0];
  recipe.load_state(from_lead(TensorMap{}));
  const auto loader = recipe.load(plan.data_at(step));
  while (true) {
    requests_of_all();  // this rank's signals; rank 0 decides
    const Command command = from_lead(Command{});
    if (command.order == Order::end) return int(command.code);
    if (command.order == Order::wait) continue;  // in requests_of_all()
    const std::vector<data::Batch> batches = next_step(*loader, shards);
    check(!batches.empty(), "train", "the loader ended at step {}", step);
    guarded_step(recipe, batches,
                 {.epoch = step / plan.steps_per_epoch,
                  .step = step,
                  .lr = plan.lr(double(step)),
                  .weight_decay = plan.weight_decay(double(step)),
                  .shards = shards},
                 [](const std::string&) {});
    recipe.take_messages();
    ++step;
  }
}

int run_ranked(int (*body)(int argc, char** argv), int argc, char** argv) {
  const auto ranks = open_ranks();
  if (!ranks) return body(argc, argv);
  const CommScope scope(*ranks);
  try {
    return body(argc, argv);
  } catch (const std::exception& error) {
    // An error that all ranks have is told once, by rank 0, which ends the others.
    if (!leads()) std::this_thread::sleep_for(std::chrono::seconds(1));
    ranks->abort(exit_code(error), error.what());
  }
  return kFailed;  // not reached
}

}  // namespace vitrail::recipes
