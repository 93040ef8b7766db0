// Schedules: learning rate, weight decay, momentum or temperature as a function of time. Time t has the unit of the
// lengths, steps or epochs, and may be fractional.
#pragma once

#include <cstdint>

namespace vitrail::optim {

/// The ends that a warm-up of n steps reaches. Step i is at i / (n - 1), at i / n or at (i + 1) / n of the way.
enum class Ends { both, first, last };

/// The linear start of a schedule, from `from` to the base value.
struct Warmup {
  double steps = 0;
  double from = 0;
  Ends ends = Ends::first;

  /// Whether t lies in the warm-up.
  bool covers(double t) const { return t < steps; }
  /// The linear value at t, on the way to base. Needs covers(t).
  double value(double base, double t) const;
};

/// Warm-up, then half a cosine from base to final. It reaches final at `steps` and stays there.
/// Source: cosine_scheduler of DINO and CosineScheduler of DINOv2 (Ends::both), cosine_lr of open_clip (Ends::last).
struct CosineSchedule {
  double base = 0;
  double final = 0;
  double steps = 0;  // including warm-up and freeze
  Warmup warmup = {};
  double freeze_steps = 0;  // 0 before the warm-up begins

  double operator()(double t) const;
};

/// Warm-up, then base, then a polynomial to final over the last decay_steps. decay_steps 0: constant;
/// decay_steps = steps - warmup.steps: linear decay.
/// Source: const_lr and const_lr_cooldown of open_clip (Ends::last).
struct PolynomialSchedule {
  double base = 0;
  double final = 0;
  double steps = 0;
  double decay_steps = 0;
  double power = 1;
  Warmup warmup = {};

  double operator()(double t) const;
};

/// Warm-up, then base * gamma^k, where k counts the intervals `every` since the start.
struct StepSchedule {
  double base = 0;
  double every = 1;
  double gamma = 0.1;
  Warmup warmup = {};

  double operator()(double t) const;
};

/// Cosine cycles with restarts, then min. With warmup_prefix the first cycle begins after the warm-up; without it, the
/// cycle begins at 0 and the warm-up replaces its first part. Source: Loshchilov and Hutter 2017 (arXiv:1608.03983);
/// CosineLRScheduler of timm, which DeiT uses.
struct CyclicCosineSchedule {
  double base = 0;
  double min = 0;
  double cycle_steps = 1;   // length of the first cycle
  double cycle_mul = 1;     // length of a cycle relative to the one before
  double cycle_decay = 1;   // peak of a cycle relative to the one before
  int64_t cycle_limit = 1;  // cycles in all
  double k_decay = 1;       // the progress x is replaced by x^k_decay
  bool warmup_prefix = false;
  Warmup warmup = {};

  double operator()(double t) const;
};

}  // namespace vitrail::optim
