// Scopes that set, for the ops of this thread, the compute type and the position in the stream of random numbers.
#pragma once

#include "vitrail/core/dtype.h"
#include "vitrail/core/rng.h"

#include <cstdint>

namespace vitrail::ag {

/// Under bf16, linear and matmul compute in bf16 and layer_norm writes bf16; GELU and attention follow the type of
/// their input. Convolutions, residual sums, softmax, losses and gradients of parameters stay f32. f32 and f64 turn
/// autocast off. f64 tensors always compute in f64. Throws ConfigError for another type.
class Autocast {
 public:
  explicit Autocast(DType dtype);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;
  /// The compute type on this thread: f32 outside any scope.
  static DType dtype();

 private:
  DType outer_;
};

/// The random numbers of ops such as dropout inside the scope: a function of seed, step and the order of draws.
class RandomScope {
 public:
  RandomScope(uint64_t seed, uint64_t step);
  ~RandomScope();
  RandomScope(const RandomScope&) = delete;
  RandomScope& operator=(const RandomScope&) = delete;

  struct State {
    uint64_t seed = 0, step = 0, draws = 0;
  };
  /// A generator for the next draw on this thread.
  static Rng next();
  /// The position of this thread, for code that must repeat the same draws.
  static State& state();

 private:
  State outer_;
};

}  // namespace vitrail::ag
