#include "vitrail/core/comm/comm.h"

#include "vitrail/core/comm/tree_sum.h"
#include "vitrail/core/error.h"
#include "vitrail/core/parallel.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <utility>

namespace vitrail {
namespace {

template <class T>
void add_to(std::span<T> left, std::span<const T> right) {
  constexpr int64_t kChunk = 1 << 16;
  parallel_for(int64_t(left.size()), kChunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) left[size_t(i)] += right[size_t(i)];
  });
}

/// Part i of n nearly equal parts of `elements`.
template <class T>
std::span<T> part_of(std::span<T> elements, size_t i, size_t n) {
  const size_t begin = elements.size() * i / n, end = elements.size() * (i + 1) / n;
  return elements.subspan(begin, end - begin);
}

/// Recursive halving and doubling: each step adds the halves of two ranks whose numbers differ in one bit, the lowest
/// bit first, which is the order of the tree. Then the steps back give every rank all parts. A rank sends
/// 2 (n - 1) / n of the bytes, in 2 log2(n) messages. Source: Rabenseifner 2004, "Optimization of collective reduction
/// operations", with the distances in the order of the tree.
template <class T>
void add_by_halves(Link& link, std::span<T> elements) {
  const int n = link.size(), rank = link.rank();
  std::vector<T> theirs((elements.size() + 1) / 2);
  std::vector<std::span<T>> wholes;  // the part that this rank had before each halving
  std::span<T> mine = elements;
  for (int bit = 1; bit < n; bit *= 2) {
    wholes.push_back(mine);
    const auto upper = size_t((rank & bit) != 0);
    const std::span<T> kept = part_of(mine, upper, 2), given = part_of(mine, 1 - upper, 2);
    const std::span<T> received(theirs.data(), kept.size());
    link.exchange(rank ^ bit, std::as_bytes(given), rank ^ bit, std::as_writable_bytes(received));
    add_to<T>(kept, received);
    mine = kept;
  }
  for (int bit = n / 2; bit > 0; bit /= 2) {
    const std::span<T> whole = wholes.back();
    wholes.pop_back();
    const auto upper = size_t((rank & bit) != 0);
    link.exchange(rank ^ bit, std::as_bytes(part_of(whole, upper, 2)), rank ^ bit,
                  std::as_writable_bytes(part_of(whole, 1 - upper, 2)));
  }
}

/// For a number of ranks that is no power of two. Each rank fetches one part from all others, adds it and sends the
/// sum.
template <class T>
void add_by_parts(Link& link, std::span<T> elements) {
  const auto n = size_t(link.size()), rank = size_t(link.rank());
  const std::span<T> mine = part_of(elements, rank, n);
  std::vector<std::vector<T>> pieces(n);
  pieces[rank].assign(mine.begin(), mine.end());
  for (size_t d = 1; d < n; ++d) {
    const size_t to = (rank + d) % n, from = (rank + n - d) % n;
    pieces[from].resize(mine.size());
    link.exchange(int(to), std::as_bytes(part_of(elements, to, n)), int(from),
                  std::as_writable_bytes(std::span(pieces[from])));
  }
  auto sum =
      tree_sum<std::vector<T>>([](std::vector<T>& left, const std::vector<T>& right) { add_to<T>(left, right); });
  for (std::vector<T>& piece : pieces) sum.add(std::move(piece));
  std::ranges::copy(sum.take(), mine.begin());
  for (size_t d = 1; d < n; ++d) {
    const size_t to = (rank + d) % n, from = (rank + n - d) % n;
    link.exchange(int(to), std::as_bytes(mine), int(from), std::as_writable_bytes(part_of(elements, from, n)));
  }
}

template <class T>
void add_over_ranks(Link& link, std::span<T> elements) {
  if (std::has_single_bit(unsigned(link.size())))
    add_by_halves(link, elements);
  else
    add_by_parts(link, elements);
}

/// Every rank's block is in its place of `all`; the others' are fetched.
void gather_blocks(Link& link, std::span<std::byte> all) {
  const auto n = size_t(link.size()), rank = size_t(link.rank());
  const size_t block = all.size() / n;
  for (size_t d = 1; d < n; ++d) {
    const size_t to = (rank + d) % n, from = (rank + n - d) % n;
    link.exchange(int(to), all.subspan(rank * block, block), int(from), all.subspan(from * block, block));
  }
}

/// Doubling: after step k, 2^k ranks from root on have the bytes.
void send_on(Link& link, std::span<std::byte> bytes, int root) {
  const int n = link.size(), place = (link.rank() - root + n) % n;
  for (int have = 1; have < n; have *= 2) {
    if (place < have && place + have < n)
      link.exchange((link.rank() + have) % n, bytes, link.rank(), {});
    else if (place >= have && place < 2 * have)
      link.exchange(link.rank(), {}, (link.rank() - have + n) % n, bytes);
  }
}

class SingleComm final : public Comm {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string where(int) const override { return "this process"; }
  [[noreturn]] void abort(int code, std::string_view) override { std::exit(code); }

 private:
  Ticket submit(std::function<void(Link&)>) override { return {}; }
};

thread_local Comm* current = nullptr;

}  // namespace

Ticket Comm::add(std::span<float> elements) {
  if (size() == 1) return {};
  return submit([elements](Link& link) { add_over_ranks(link, elements); });
}

Ticket Comm::add(std::span<double> elements) {
  if (size() == 1) return {};
  return submit([elements](Link& link) { add_over_ranks(link, elements); });
}

std::vector<std::byte> Comm::gather(std::span<const std::byte> mine) {
  std::vector<std::byte> all(mine.size() * size_t(size()));
  std::ranges::copy(mine, all.begin() + std::ptrdiff_t(mine.size()) * rank());
  if (size() > 1) submit([&](Link& link) { gather_blocks(link, all); }).wait();
  return all;
}

void Comm::broadcast(std::vector<std::byte>& bytes, int root) {
  if (size() == 1) return;
  submit([&](Link& link) {
    uint64_t count = bytes.size();
    send_on(link, std::as_writable_bytes(std::span(&count, 1)), root);
    bytes.resize(count);
    send_on(link, bytes, root);
  }).wait();
}

Comm& comm() {
  static SingleComm alone;
  return current ? *current : alone;
}

CommScope::CommScope(Comm& inner) : outer_(std::exchange(current, &inner)) {}
CommScope::~CommScope() { current = outer_; }

}  // namespace vitrail
