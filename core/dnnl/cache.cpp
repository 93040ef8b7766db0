#include "vitrail/core/dnnl/cache.h"

#include "vitrail/core/dnnl/stats.h"
#include "vitrail/core/error.h"
#include "vitrail/core/memory.h"
#include "vitrail/core/parallel.h"

#include <omp.h>

#include <list>
#include <mutex>
#include <unordered_map>

namespace vitrail::core::dnnl {
namespace {

constexpr size_t kCapacity = 2048;

struct KeyHash {
  size_t operator()(const Key& key) const {
    uint64_t h = 0xcbf29ce484222325u;
    for (int64_t v : key) h = (h ^ uint64_t(v)) * 0x9e3779b97f4a7c15u, h ^= h >> 29;
    return h;
  }
};

/// Sets the thread count for a scope. oneDNN plans for the thread count at the time when it builds a primitive, and
/// does not notice a parallel region around it.
class PlanFor {
 public:
  explicit PlanFor(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~PlanFor() { omp_set_num_threads(before_); }
  PlanFor(const PlanFor&) = delete;
  PlanFor& operator=(const PlanFor&) = delete;

 private:
  int before_;
};

class Cache {
 public:
  static Cache& instance() {
    static Cache* cache = new Cache;  // never destroyed: threads may compute until the very end
    return *cache;
  }

  std::shared_ptr<const Primitive> get(Key key, const std::function<Primitive()>& build) {
    std::lock_guard lock(mutex_);
    if (const auto found = index_.find(key); found != index_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      return entries_.front().second;
    }
    auto primitive = std::make_shared<const Primitive>(build());
    ++built_;
    entries_.emplace_front(key, primitive);
    index_.emplace(std::move(key), entries_.begin());
    if (entries_.size() > kCapacity) {
      index_.erase(entries_.back().first);
      entries_.pop_back();
    }
    return primitive;
  }

  int64_t built() {
    std::lock_guard lock(mutex_);
    return built_;
  }

  std::vector<Implementation> implementations() {
    std::lock_guard lock(mutex_);
    std::vector<Implementation> all;
    for (const auto& [key, primitive] : entries_) all.push_back({primitive->text, primitive->implementation});
    return all;
  }

 private:
  using Entry = std::pair<Key, std::shared_ptr<const Primitive>>;
  std::mutex mutex_;
  std::list<Entry> entries_;  // latest use first
  std::unordered_map<Key, std::list<Entry>::iterator, KeyHash> index_;
  int64_t built_ = 0;
};

}  // namespace

const ::dnnl::engine& engine() {
  static const auto* engine = new ::dnnl::engine(::dnnl::engine::kind::cpu, 0);
  return *engine;
}

::dnnl::primitive_attr attributes() {
  ::dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(::dnnl::scratchpad_mode::user);
  return attributes;
}

std::shared_ptr<const Primitive> cached(Key key, const std::function<Primitive()>& build) {
  const int threads = num_threads();
  key.push_back(threads);
  return Cache::instance().get(std::move(key), [&] {
    const PlanFor plan(threads);
    try {
      return build();
    } catch (const ::dnnl::error& e) {
      fail("dnnl", "cannot build a primitive: {}", e.what());
    }
  });
}

void run(const Primitive& primitive, std::initializer_list<Argument> arguments) {
  thread_local ::dnnl::stream stream(engine());
  const Storage scratchpad(int64_t(primitive.scratchpad.get_size()));
  std::unordered_map<int, ::dnnl::memory> memories;
  for (const Argument& a : arguments)
    if (a.data) memories.emplace(a.name, ::dnnl::memory(a.desc, engine(), const_cast<void*>(a.data)));
  memories.emplace(DNNL_ARG_SCRATCHPAD, ::dnnl::memory(primitive.scratchpad, engine(), scratchpad.data()));
  try {
    primitive.primitive.execute(stream, memories);
    stream.wait();
  } catch (const ::dnnl::error& e) {
    fail("dnnl", "cannot run {}: {}", primitive.text, e.what());
  }
}

bool native_bf16() {
  // Each value has the bits of the instruction sets that it includes.
  constexpr auto kBf16 = unsigned(::dnnl::cpu_isa::avx512_core_bf16);
  static const auto isa = unsigned(::dnnl::get_effective_cpu_isa());
  return (isa & kBf16) == kBf16;
}

int64_t primitives_built() { return Cache::instance().built(); }

std::vector<Implementation> implementations() { return Cache::instance().implementations(); }

}  // namespace vitrail::core::dnnl
