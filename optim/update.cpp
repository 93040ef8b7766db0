#include "vitrail/optim/update.h"

#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/optim/clip_grad.h"
#include "vitrail/optim/shard_sum.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

namespace vitrail::optim {

void check_finite(std::string_view name, double value, const At& at) {
  check<NumericError>(std::isfinite(value), "train", "{} is {} at step {} (epoch {}, lr {})", name, value, at.step + 1,
                      at.epoch + 1, at.lr);
}

Update::Update(std::vector<ag::Parameter*> parameters, Optimizer& optimizer, const At& at, const UpdateOptions& options)
    : parameters_(std::move(parameters)),
      optimizer_(optimizer),
      at_(at),
      options_(options),
      hook_(ag::GradHook::current()) {
  for (ag::Parameter* p : parameters_) p->drop_grad();
}

double Update::backward(const std::function<ag::Var()>& loss, double share) {
  const auto sweep = [&] {
    ag::Tape tape;
    const ag::Var value = loss();
    const double number = value.value().item();
    check_finite("loss", number, at_);
    tape.backward(value, full(value.shape(), share, value.dtype()));
    return number;
  };
  return backward_with(sweep, share);
}

double Update::backward_with(const std::function<double()>& sweep, double share) {
  constexpr double kRounding = 1e-9;  // of shares such as 1/3
  left_ -= share;
  ag::GradHook::Function when_final;  // empty before the last micro-batch: gradients still grow
  if (hook_ && left_ < kRounding) {
    when_final = [this](ag::Parameter& p) {
      final_.insert(&p);
      (*hook_)(p);
    };
  }
  const ag::GradHook scope(std::move(when_final));
  const double loss = sweep();
  check_finite("loss", loss, at_);
  return loss;
}

std::vector<double> Update::backward_shards(int64_t count, const std::function<ShardLoss(int64_t)>& loss_of,
                                            const std::vector<double>& shares) {
  const Shards& shards = at_.shards;
  check<ConfigError>(count == shards.count, "update", "{} shards where this rank has {} of {}", count, shards.count,
                     shards.all);
  if (shards.all == 1) {
    std::vector<double> means(1);
    means[0] = backward([&] {
      ShardLoss of_batch = loss_of(0);
      means.insert(means.end(), of_batch.numbers.begin(), of_batch.numbers.end());
      return std::move(of_batch.loss);
    });
    return means;
  }
  const ag::GradHook silent({});  // clip() tells the hook of the sums
  ShardSum sum(parameters_, options_.running);
  for (int64_t i = 0; i < count; ++i) {
    const double share = shares.empty() ? 1 / double(shards.all) : shares[size_t(i)];
    const ag::RandomScope random(ag::RandomScope::state().seed, at_.random_key(i));
    sum.begin_shard();
    ag::Tape tape;
    const ShardLoss of_shard = loss_of(i);
    const double loss = of_shard.loss.item();
    check_finite("loss", first_not_finite(loss), at_);
    tape.backward(of_shard.loss, full(of_shard.loss.shape(), share, of_shard.loss.dtype()));
    sum.end_shard(share, loss, of_shard.numbers);
  }
  return sum.finish();
}

GradNorms Update::clip() {
  if (hook_)
    for (ag::Parameter* p : parameters_)  // parameters that the last micro-batch did not reach
      if (p->grad().defined() && final_.insert(p).second) (*hook_)(*p);

  GradNorms norms;
  if (options_.clip_by == ClipBy::all) {
    norms.total = clip_grad_norm(parameters_, options_.max_norm);
    check_finite("gradient norm", norms.total, at_);
    return norms;
  }
  const auto name_of = [&](const ag::Parameter* p) {
    return options_.clip_by == ClipBy::parameter ? p->name() : p->name().substr(0, p->name().find('.'));
  };
  for (auto begin = parameters_.begin(); begin != parameters_.end();) {
    const std::string name = name_of(*begin);
    const auto end = std::find_if(begin, parameters_.end(), [&](const auto* p) { return name_of(p) != name; });
    norms.each.push_back(clip_grad_norm({begin, end}, options_.max_norm));
    check_finite("gradient norm of " + name, norms.each.back(), at_);
    begin = end;
  }
  norms.total = std::sqrt(std::inner_product(norms.each.begin(), norms.each.end(), norms.each.begin(), 0.0));
  return norms;
}

}  // namespace vitrail::optim
