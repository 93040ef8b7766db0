// TreeSum: a sum in the order of one binary tree, whoever computes its parts.
#pragma once

#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

namespace vitrail {

/// Adds leaves 0, 1, 2, ... as a binary counter adds: pairs first, then pairs of pairs. An aligned run of 2^k leaves is
/// a subtree, so the run's own TreeSum has the bits of that part of the whole. At most log2(leaves) + 1 sums are kept.
///
///   auto sum = tree_sum<Tensor>([](Tensor& left, const Tensor& right) { core::add_(left, right); });
///   for (const Tensor& leaf : leaves) sum.add(leaf);
///   const Tensor total = sum.take();
template <class T, class Plus>
class TreeSum final {
 public:
  /// plus(left, right): left += right.
  explicit TreeSum(Plus plus) : plus_(std::move(plus)) {}

  /// Adds the next leaf.
  void add(T leaf) {
    sums_.push_back(std::move(leaf));
    for (int carries = std::countr_one(leaves_++); carries > 0; --carries) join();
  }
  /// The sum of all leaves; there must be one. The tree is empty afterwards.
  T take() {
    while (sums_.size() > 1) join();
    T total = std::move(sums_.back());
    sums_.clear();
    leaves_ = 0;
    return total;
  }

 private:
  void join() {
    T right = std::move(sums_.back());
    sums_.pop_back();
    plus_(sums_.back(), right);
  }

  Plus plus_;
  uint64_t leaves_ = 0;
  std::vector<T> sums_;  // of complete subtrees, the largest first
};
/// A TreeSum whose Plus the compiler finds.
template <class T, class Plus>
TreeSum<T, Plus> tree_sum(Plus plus) {
  return TreeSum<T, Plus>(std::move(plus));
}

}  // namespace vitrail
