// Schedules: learning rate, weight decay, momentum or temperature as pure functions of time. t is in the unit of the
// lengths, steps or epochs, and may be a fraction.
#pragma once

#include <cstdint>

namespace vitrail::optim {

/// The ends that a warm-up of n steps reaches: step i is at i / (n - 1), i / n or (i + 1) / n of the way.
enum class Ends { both, first, last };

/// The linear beginning of a schedule: from `from` to the schedule's base value.
struct Warmup {
  double steps = 0;
  double from = 0;
  Ends ends = Ends::first;

  bool covers(double t) const { return t < steps; }
  double value(double base, double t) const;
};

/// Warm-up, then half a cosine from base to final, which is reached at `steps` and held.
/// Source: cosine_scheduler of DINO and CosineScheduler of DINOv2 (Ends::both), cosine_lr of open_clip (Ends::last).
struct CosineSchedule {
  double base = 0;
  double final = 0;
  double steps = 0;  // including warm-up and freeze
  Warmup warmup = {};
  double freeze_steps = 0;  // 0 before the warm-up begins

  double operator()(double t) const;
};

/// Warm-up, then base, then a polynomial to final over the last decay_steps; final is held. Constant for decay_steps 0,
/// linear decay for decay_steps = steps - warmup.steps.
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

/// Warm-up, then base * gamma^k after k times `every`, counted from the start.
struct StepSchedule {
  double base = 0;
  double every = 1;
  double gamma = 0.1;
  Warmup warmup = {};

  double operator()(double t) const;
};

/// Cosine cycles with restarts, then min. Without warmup_prefix the cosine is evaluated at t, so after the
/// warm-up it continues as if there had been none. Source: Loshchilov and Hutter 2017 (arXiv:1608.03983);
/// CosineLRScheduler of timm, which DeiT uses.
struct CyclicCosineSchedule {
  double base = 0;
  double min = 0;
  double cycle_steps = 1;   // length of the first cycle
  double cycle_mul = 1;     // the length of each cycle relative to the one before
  double cycle_decay = 1;   // the peak of each cycle relative to the one before
  int64_t cycle_limit = 1;  // cycles in all
  double k_decay = 1;       // progress is x^k: below 1 the value falls earlier
  bool warmup_prefix = false;
  Warmup warmup = {};

  double operator()(double t) const;
};

}  // namespace vitrail::optim
