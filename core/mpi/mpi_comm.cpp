// The plugin libvitrail_mpi.so: ranks that are processes of mpirun or srun. Programs open it only under a launcher (see
// open_ranks), so a process alone has no MPI in it. It uses no function of the library, so it fits static programs too.
#include "vitrail/core/comm/comm.h"
#include "vitrail/core/error.h"

#define OMPI_SKIP_MPICXX 1
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <exception>
#include <mutex>
#include <string>
#include <thread>

namespace vitrail {
namespace {

/// One thread calls MPI, from MPI_Init to MPI_Finalize: OpenMPI moves no byte unless somebody calls it, so the thread
/// polls while the others compute. It sleeps between the polls, and so leaves them the cores.
class MpiComm final : public Comm, private Link {
 public:
  MpiComm() : thread_([this] { serve(); }) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return size_ > 0; });
  }
  ~MpiComm() override {
    {
      const std::scoped_lock lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string where(int rank) const override {
    const Place& place = places_[size_t(rank)];
    return "rank " + std::to_string(rank) + " on " + place.host + " (process " + std::to_string(place.process) + ")";
  }

  [[noreturn]] void abort(int code, std::string_view why) override {
    if (!why.empty()) std::fprintf(stderr, "%s: %.*s\n", where(rank_).c_str(), int(why.size()), why.data());
    std::fflush(nullptr);
    {
      const std::scoped_lock lock(mutex_);
      abort_code_ = code;
    }
    changed_.notify_all();
    std::this_thread::sleep_for(std::chrono::seconds(2));
    ::_exit(code);  // MPI_Abort hangs
  }

 private:
  struct Place {
    char host[64] = {};
    int64_t process = 0;
  };
  struct Work {
    std::function<void(Link&)> run;
    bool done = false;
    std::exception_ptr error;
  };

  Ticket submit(std::function<void(Link&)> run) override {
    const auto work = std::make_shared<Work>();
    work->run = std::move(run);
    {
      const std::scoped_lock lock(mutex_);
      queue_.push_back(work);
    }
    changed_.notify_all();
    return Ticket([this, work] {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return work->done; });
      if (work->error) std::rethrow_exception(work->error);
    });
  }

  void serve() {
    int given = 0, rank = 0, size = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &given);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    Place mine;
    ::gethostname(mine.host, sizeof mine.host - 1);
    mine.process = ::getpid();
    places_.resize(size_t(size));
    MPI_Allgather(&mine, sizeof mine, MPI_BYTE, places_.data(), sizeof mine, MPI_BYTE, MPI_COMM_WORLD);
    {
      const std::scoped_lock lock(mutex_);
      rank_ = rank;
      size_ = size;
    }
    changed_.notify_all();
    while (const std::shared_ptr<Work> work = next()) {
      std::exception_ptr error;
      try {
        work->run(*this);
      } catch (...) {
        error = std::current_exception();
      }
      {
        const std::scoped_lock lock(mutex_);
        work->error = error;
        work->done = true;
      }
      changed_.notify_all();
    }
    if (abort_code_ >= 0) MPI_Abort(MPI_COMM_WORLD, abort_code_);
    MPI_Finalize();
  }

  /// Null if there is no more.
  std::shared_ptr<Work> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !queue_.empty() || ended_ || abort_code_ >= 0; });
    if (queue_.empty() || abort_code_ >= 0) return nullptr;
    std::shared_ptr<Work> work = std::move(queue_.front());
    queue_.pop_front();
    return work;
  }

  void exchange(int to, std::span<const std::byte> out, int from, std::span<std::byte> in) override {
    constexpr size_t kMost = size_t{1} << 30;  // MPI counts in int
    std::vector<MPI_Request> requests;
    for (size_t begin = 0; begin < out.size(); begin += kMost)
      MPI_Isend(out.data() + begin, int(std::min(kMost, out.size() - begin)), MPI_BYTE, to, 0, MPI_COMM_WORLD,
                &requests.emplace_back());
    for (size_t begin = 0; begin < in.size(); begin += kMost)
      MPI_Irecv(in.data() + begin, int(std::min(kMost, in.size() - begin)), MPI_BYTE, from, 0, MPI_COMM_WORLD,
                &requests.emplace_back());
    using Clock = std::chrono::steady_clock;
    const Clock::time_point begin = Clock::now();
    for (int done = 0; done == 0;) {
      if (MPI_Testall(int(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE) != MPI_SUCCESS)
        throw IoError("[ranks] MPI could not exchange bytes with " + where(to));
      if (abort_code_ >= 0) MPI_Abort(MPI_COMM_WORLD, abort_code_);
      // Small messages arrive at once; a long wait must not take a core.
      if (done == 0 && Clock::now() - begin > std::chrono::milliseconds(1))
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  }

  std::mutex mutex_;  // guards the queue and its works, and the start
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Work>> queue_;
  std::vector<Place> places_;
  int rank_ = 0, size_ = 0;
  std::atomic<int> abort_code_ = -1;
  bool ended_ = false;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace
}  // namespace vitrail

extern "C" vitrail::Comm* vitrail_open_comm() { return new vitrail::MpiComm; }
