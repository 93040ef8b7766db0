// run_ranks: ranks that are threads of one process.
#include "vitrail/core/comm/comm.h"
#include "vitrail/core/error.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace vitrail {
namespace {

/// The messages on their way between the threads.
class Post final {
 public:
  void send(int from, int to, std::span<const std::byte> bytes) {
    const std::scoped_lock lock(mutex_);
    boxes_[{from, to}].emplace_back(bytes.begin(), bytes.end());
    changed_.notify_all();
  }

  void receive(int from, int to, std::span<std::byte> bytes) {
    std::unique_lock lock(mutex_);
    auto& box = boxes_[{from, to}];
    changed_.wait(lock, [&] { return !box.empty() || failed_; });
    check<IoError>(!box.empty(), "ranks", "another rank has failed");
    const std::vector<std::byte> message = std::move(box.front());
    box.erase(box.begin());
    check<IoError>(message.size() == bytes.size(), "ranks",
                   "rank {} sent {} bytes where rank {} expects {}: they are at different places", from, message.size(),
                   to, bytes.size());
    std::ranges::copy(message, bytes.begin());
  }

  void fail() {
    const std::scoped_lock lock(mutex_);
    failed_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::pair<int, int>, std::vector<std::vector<std::byte>>> boxes_;  // by (from, to)
  bool failed_ = false;
};

class ThreadComm final : public Comm, private Link {
 public:
  ThreadComm(Post& post, int rank, int size) : post_(post), rank_(rank), size_(size) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string where(int rank) const override { return "rank " + std::to_string(rank) + " of this process"; }
  [[noreturn]] void abort(int, std::string_view why) override { fail<IoError>("ranks", "{}", why); }

 private:
  Ticket submit(std::function<void(Link&)> work) override {
    work(*this);
    return {};
  }
  void exchange(int to, std::span<const std::byte> out, int from, std::span<std::byte> in) override {
    if (!out.empty()) post_.send(rank_, to, out);
    if (!in.empty()) post_.receive(from, rank_, in);
  }

  Post& post_;
  const int rank_, size_;
};

}  // namespace

void run_ranks(int ranks, const std::function<void()>& fn) {
  Post post;
  std::vector<std::exception_ptr> errors(size_t(ranks), nullptr);
  std::vector<int> order;  // in which ranks failed: the first has the cause
  std::mutex guard;
  {
    std::vector<std::jthread> threads;
    threads.reserve(size_t(ranks));
    for (int rank = 0; rank < ranks; ++rank)
      threads.emplace_back([&, rank] {
        ThreadComm mine(post, rank, ranks);
        const CommScope scope(mine);
        try {
          fn();
        } catch (...) {
          const std::scoped_lock lock(guard);
          errors[size_t(rank)] = std::current_exception();
          order.push_back(rank);
          post.fail();
        }
      });
  }
  if (!order.empty()) std::rethrow_exception(errors[size_t(order.front())]);
}

}  // namespace vitrail
