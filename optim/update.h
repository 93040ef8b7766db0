// Update: one step of training, from zeroed gradients to new weights. Every method takes its steps with it.
//
//   optim::Update update(model.parameters(), optimizer, at, {.max_norm = 1});
//   const double loss = update.backward([&] { return cross_entropy(model(images), labels); });
//   const double grad_norm = update.clip().total;
//   update.step();
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/comm/shards.h"
#include "vitrail/core/rng.h"
#include "vitrail/optim/optimizer.h"

#include <cstdint>
#include <functional>
#include <iterator>
#include <ranges>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace vitrail::optim {

/// One step's place in the run, and its scheduled values.
struct At {
  int64_t epoch = 0;  // from 0
  int64_t step = 0;   // from 0, over the whole run
  double lr = 0;
  double weight_decay = 0;
  Shards shards = {};  // of the step's batch

  /// The key of the random numbers of this rank's shard i: one batch alone has the step itself.
  uint64_t random_key(int64_t i) const {
    return shards.all == 1 ? uint64_t(step) : Rng::combine(uint64_t(step), uint64_t(shards.first + i + 1));
  }
};

/// Throws NumericError naming the step if value is not finite.
void check_finite(std::string_view name, double value, const At& at);

/// Which gradients share one norm when they are clipped.
enum class ClipBy {
  all,
  network,    // of one network, by the first part of the parameters' names ("backbone", "head"), as in DINOv2
  parameter,  // of one parameter, as in DINO
};

struct UpdateOptions {
  double max_norm = 0;  // largest norm of the gradients that are clipped together; 0: no clipping
  ClipBy clip_by = ClipBy::all;
  /// Tensors that each forward pass moves or makes, such as running averages of batch statistics. Every shard begins
  /// with those of the step's start, and the mean over the shards remains.
  std::vector<Tensor*> running = {};
};

/// The loss of a shard, and other numbers of it whose means are wanted.
struct ShardLoss {
  ShardLoss(ag::Var of_shard, std::vector<double> others = {})  // NOLINT(google-explicit-constructor)
      : loss(std::move(of_shard)), numbers(std::move(others)) {}
  ag::Var loss;
  std::vector<double> numbers;
};

struct GradNorms {
  double total = 0;          // of all gradients together, before clipping
  std::vector<double> each;  // by network or parameter, in order: before clipping; 0 without a gradient
};

/// One step of training: gradients, accumulated over micro-batches, then clipping and the optimizer's step.
class Update final {
 public:
  /// Drops all gradients. optimizer outlives the update and holds some or all of the parameters.
  Update(std::vector<ag::Parameter*> parameters, Optimizer& optimizer, const At& at, const UpdateOptions& options = {});

  /// Computes a scalar loss on a tape of its own, and adds `share` times its gradients to the parameters' own.
  /// Micro-batches are several calls whose shares add up to 1. Returns the loss.
  /// Throws NumericError if the loss is not finite.
  double backward(const std::function<ag::Var()>& loss, double share = 1);
  /// The same where the caller runs its own tapes, such as nn::cached_backward: sweep() adds the gradients and returns
  /// the loss.
  double backward_with(const std::function<double()>& sweep, double share = 1);
  /// The same for a batch in shards: loss_of(shard) gives the loss, or a ShardLoss, of each shard that this rank has,
  /// on a tape and with random numbers of its own (At::random_key). The gradients become the mean over the shards of
  /// all ranks, added in the order of one tree, so they do not depend on the number of ranks. Returns the means of the
  /// loss and of the other numbers. shares: of each shard of this rank, its share of the whole batch; by default all
  /// are equal. Throws NumericError on every rank if one has a loss that is not finite; ConfigError for another number
  /// of shards than at.shards says.
  template <std::ranges::random_access_range Batches, class F>
  std::vector<double> backward(const Batches& shards, F&& loss_of, const std::vector<double>& shares = {}) {
    return backward_shards(
        int64_t(std::size(shards)), [&](int64_t i) -> ShardLoss { return loss_of(shards[size_t(i)]); }, shares);
  }
  /// Clips the gradients. Throws NumericError if a norm is not finite.
  GradNorms clip();
  /// Updates every parameter that has a gradient.
  void step() { optimizer_.step(at_.lr, at_.weight_decay); }

 private:
  std::vector<double> backward_shards(int64_t count, const std::function<ShardLoss(int64_t)>& loss_of,
                                      const std::vector<double>& shares);

  std::vector<ag::Parameter*> parameters_;
  Optimizer& optimizer_;
  const At at_;
  const UpdateOptions options_;
  const ag::GradHook::Function* hook_;    // of the scope that the update was made in
  double left_ = 1;                       // share that is still to come
  std::set<const ag::Parameter*> final_;  // parameters that the hook has seen
};

}  // namespace vitrail::optim
