// ShardSum: the gradients and numbers of a step's shards, added over shards and ranks in the order of one tree.
#pragma once

#include "vitrail/autograd/parameter.h"
#include "vitrail/core/comm/tree_sum.h"
#include "vitrail/core/tensor.h"

#include <span>
#include <vector>

namespace vitrail::optim {

/// The value, or that of the lowest rank that has one which is not finite: then all ranks throw alike.
double first_not_finite(double value);

/// Made for one step: begin_shard() and end_shard() for each shard of this rank, then finish().
class ShardSum final {
 public:
  /// running: see UpdateOptions. The parameters have no gradients.
  ShardSum(std::span<ag::Parameter* const> parameters, std::vector<Tensor*> running);

  /// Before the forward pass of each shard of this rank.
  void begin_shard();
  /// After its sweep. The share is that of the shard in the batch; the gradients are multiplied by it already.
  void end_shard(double share, double loss, std::span<const double> numbers);
  /// The sums over all ranks become the gradients. Returns the means of the loss and of the numbers. A parameter
  /// without a gradient in any shard has none.
  std::vector<double> finish();

 private:
  using Tensors = std::vector<Tensor>;  // a gradient of each parameter, undefined without one; then the running ones
  struct Plus {
    void operator()(Tensors& left, const Tensors& right) const;
  };
  void add_ranks(Tensors& sums) const;

  std::vector<ag::Parameter*> parameters_;
  std::vector<Tensor*> running_;
  Tensors running_start_;
  TreeSum<Tensors, Plus> sum_;
  std::vector<double> rows_;  // of each shard its share, loss and numbers
  size_t row_ = 0;            // numbers in a row
};

}  // namespace vitrail::optim
