#include "vitrail/optim/shard_sum.h"

#include "vitrail/core/comm/comm.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace vitrail::optim {
namespace {

constexpr size_t kBucket = 1 << 20;  // elements that are sent together: 4 MB

template <class T>
void add_in_buckets(std::span<T> elements) {
  std::vector<Ticket> tickets;
  for (size_t begin = 0; begin < elements.size(); begin += kBucket)
    tickets.push_back(comm().add(elements.subspan(begin, std::min(kBucket, elements.size() - begin))));
  for (Ticket& ticket : tickets) ticket.wait();
}

}  // namespace

double first_not_finite(double value) {
  if (comm().size() == 1) return value;
  for (const double other : gather_values(value))
    if (!std::isfinite(other)) return other;
  return value;
}

void ShardSum::Plus::operator()(Tensors& left, const Tensors& right) const {
  for (size_t i = 0; i < left.size(); ++i) {
    if (!left[i].defined())
      left[i] = right[i];
    else if (right[i].defined())
      core::add_(left[i], right[i]);
  }
}

ShardSum::ShardSum(std::span<ag::Parameter* const> parameters, std::vector<Tensor*> running)
    : parameters_(parameters.begin(), parameters.end()), running_(std::move(running)), sum_(Plus()) {
  for (const Tensor* t : running_) running_start_.push_back(t->defined() ? t->clone() : Tensor());
}

void ShardSum::begin_shard() {
  for (size_t i = 0; i < running_.size(); ++i)
    if (running_start_[i].defined()) *running_[i] = running_start_[i].clone();
}

void ShardSum::end_shard(double share, double loss, std::span<const double> numbers) {
  Tensors leaf;
  for (ag::Parameter* p : parameters_) leaf.push_back(std::exchange(p->grad(), Tensor()));
  for (const Tensor* t : running_) {
    leaf.push_back(t->clone());
    core::scale_(leaf.back(), share);
  }
  sum_.add(std::move(leaf));
  rows_.insert(rows_.end(), {share, loss});
  rows_.insert(rows_.end(), numbers.begin(), numbers.end());
  row_ = 2 + numbers.size();
}

std::vector<double> ShardSum::finish() {
  Tensors sums = sum_.take();
  if (comm().size() > 1) add_ranks(sums);
  for (size_t i = 0; i < sums.size(); ++i) {
    if (i < parameters_.size())
      parameters_[i]->grad() = std::move(sums[i]);
    else
      *running_[i - parameters_.size()] = std::move(sums[i]);
  }
  const std::vector<std::byte> bytes = comm().gather(std::as_bytes(std::span(rows_)));
  std::vector<double> all(bytes.size() / sizeof(double)), means(row_ - 1, 0);
  std::memcpy(all.data(), bytes.data(), bytes.size());
  for (size_t begin = 0; begin < all.size(); begin += row_)
    for (size_t i = 1; i < row_; ++i) means[i - 1] += all[begin] * all[begin + i];
  return means;
}

/// The tensors of all ranks as one row of elements, which is sent in buckets. Behind it stands for each tensor how many
/// ranks have one: optimizers skip a parameter without a gradient, and so all ranks must.
void ShardSum::add_ranks(Tensors& sums) const {
  const DType dtype = parameters_.front()->value().dtype();
  int64_t total = 0;
  std::vector<Shape> shapes;
  for (size_t i = 0; i < sums.size(); ++i) {
    const Shape& shape = i < parameters_.size() ? parameters_[i]->shape() : sums[i].shape();
    check<ShapeError>(!sums[i].defined() || sums[i].dtype() == dtype, "ranks", "gradients of {} and of {}", dtype,
                      sums[i].dtype());
    shapes.push_back(shape);
    total += shape.numel();
  }
  Tensor row = Tensor::empty({total + int64_t(sums.size())}, dtype);
  int64_t begin = 0;
  for (size_t i = 0; i < sums.size(); ++i) {
    Tensor place = row.slice(0, begin, begin + shapes[i].numel());
    if (sums[i].defined())
      place.copy_(sums[i].reshape({-1}));
    else
      place.zero_();
    row.slice(0, total + int64_t(i), total + int64_t(i) + 1).fill_(sums[i].defined() ? 1 : 0);
    begin += shapes[i].numel();
    sums[i] = Tensor();
  }
  if (dtype == DType::f64)
    add_in_buckets(row.span<double>());
  else
    add_in_buckets(row.span<float>());
  begin = 0;
  for (size_t i = 0; i < sums.size(); ++i) {
    if (row.slice(0, total + int64_t(i), total + int64_t(i) + 1).item() > 0)
      sums[i] = row.slice(0, begin, begin + shapes[i].numel()).reshape(shapes[i]);
    begin += shapes[i].numel();
  }
}

}  // namespace vitrail::optim
