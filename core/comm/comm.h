// Comm: the processes that train together, called ranks. A process alone is rank 0 of 1, and nothing costs anything.
//
//   comm().add(gradients);                       // over all ranks, in place
//   const auto all = comm().gather(as_bytes(word));   // [rank 0's, rank 1's, ...]
#pragma once

#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace vitrail {

/// Moves bytes between two ranks. The algorithms of Comm are written with it; a transport implements it.
class Link {
 public:
  virtual ~Link() = default;
  /// This rank, from 0, and the number of ranks.
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Sends out to rank `to` while it receives in from rank `from`. Both sides call it in the same order. A span may be
  /// empty; then nothing goes that way. The send is posted before the receive: with TCP the other order halves the
  /// speed.
  virtual void exchange(int to, std::span<const std::byte> out, int from, std::span<std::byte> in) = 0;
};

/// An exchange that may still be going on.
class Ticket final {
 public:
  Ticket() = default;  // of an exchange that is done
  explicit Ticket(std::function<void()> wait) : wait_(std::move(wait)) {}
  /// Waits until the exchange is done. Rethrows its error.
  void wait() {
    if (auto wait = std::exchange(wait_, nullptr)) wait();
  }

 private:
  std::function<void()> wait_;
};

/// The ranks. Every rank calls the same functions in the same order with the same sizes. Thread: of one thread.
class Comm {
 public:
  virtual ~Comm() = default;
  /// From 0 to size() - 1.
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// "rank 2 on node-c (process 811)".
  virtual std::string where(int rank) const = 0;
  /// Ends all ranks with this exit code. For an error that only this rank has.
  [[noreturn]] virtual void abort(int code, std::string_view why) = 0;

  /// Adds the elements over all ranks, in place. Each rank is a leaf of the tree in tree_sum.h, and every rank gets the
  /// same bits. Returns at once: do not touch the elements before the ticket's wait() returns.
  Ticket add(std::span<float> elements);
  Ticket add(std::span<double> elements);
  /// The bytes of all ranks in their order. Every rank gives the same number of bytes.
  std::vector<std::byte> gather(std::span<const std::byte> mine);
  /// Rank root's bytes, on every rank. The others' `bytes` are replaced.
  void broadcast(std::vector<std::byte>& bytes, int root = 0);

 protected:
  /// Runs the work with the transport, after all work that was submitted before. Not called if size() is 1.
  virtual Ticket submit(std::function<void(Link&)> work) = 0;
};

/// The ranks of this thread: a process alone, unless a CommScope says otherwise.
Comm& comm();

/// Scope in which comm() is another one, on this thread.
class CommScope final {
 public:
  explicit CommScope(Comm& inner);
  ~CommScope();
  CommScope(const CommScope&) = delete;
  CommScope& operator=(const CommScope&) = delete;

 private:
  Comm* outer_;
};

/// Runs fn on as many threads, each of which is a rank, and returns when all have ended. If a rank throws, the others
/// end with an error too, and this rethrows the first one. For tests, and for programs that compare.
void run_ranks(int ranks, const std::function<void()>& fn);

/// The value of every rank, in the order of ranks. T is copied byte by byte.
template <class T>
std::vector<T> gather_values(const T& mine) {
  static_assert(std::is_trivially_copyable_v<T>);
  const std::vector<std::byte> bytes = comm().gather(std::as_bytes(std::span(&mine, 1)));
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

}  // namespace vitrail
