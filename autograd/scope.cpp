#include "vitrail/autograd/scope.h"

#include "vitrail/core/error.h"

#include <utility>

namespace vitrail::ag {
namespace {

thread_local DType compute_dtype = DType::f32;
thread_local RandomScope::State random_state;

}  // namespace

Autocast::Autocast(DType dtype) : outer_(compute_dtype) {
  check<ConfigError>(dtype == DType::bf16 || dtype == DType::f32 || dtype == DType::f64, "autocast",
                     "cannot compute in {}; known are f32, bf16 and f64", dtype);
  compute_dtype = dtype == DType::bf16 ? DType::bf16 : DType::f32;
}
Autocast::~Autocast() { compute_dtype = outer_; }
DType Autocast::dtype() { return compute_dtype; }

RandomScope::RandomScope(uint64_t seed, uint64_t step) : outer_(std::exchange(random_state, State{seed, step, 0})) {}
RandomScope::~RandomScope() { random_state = outer_; }
RandomScope::State& RandomScope::state() { return random_state; }

Rng RandomScope::next() { return Rng(random_state.seed, "op", Rng::combine(random_state.step, random_state.draws++)); }

}  // namespace vitrail::ag
