#include "vitrail/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vitrail::optim {

namespace {

/// Half a cosine from `from` at progress 0 to `to` at 1.
double cosine(double from, double to, double progress) {
  return to + 0.5 * (from - to) * (1 + std::cos(std::numbers::pi * progress));
}

}  // namespace

double Warmup::value(double base, double t) const {
  double progress = 0;
  switch (ends) {
    case Ends::both:
      progress = steps > 1 ? std::min(t / (steps - 1), 1.0) : 0;
      break;
    case Ends::first:
      progress = t / steps;
      break;
    case Ends::last:
      progress = std::min((t + 1) / steps, 1.0);
      break;
  }
  return from + (base - from) * progress;
}

double CosineSchedule::operator()(double t) const {
  if (t >= steps) return final;
  if (t < freeze_steps) return 0;
  t -= freeze_steps;
  if (warmup.covers(t)) return warmup.value(base, t);
  return cosine(base, final, (t - warmup.steps) / (steps - freeze_steps - warmup.steps));
}

double PolynomialSchedule::operator()(double t) const {
  if (warmup.covers(t)) return warmup.value(base, t);
  const double begin = steps - decay_steps;
  if (decay_steps <= 0 || t < begin) return base;
  return final + (base - final) * std::pow(std::max(1 - (t - begin) / decay_steps, 0.0), power);
}

double StepSchedule::operator()(double t) const {
  if (warmup.covers(t)) return warmup.value(base, t);
  return base * std::pow(gamma, std::floor(t / every));
}

double CyclicCosineSchedule::operator()(double t) const {
  if (warmup.covers(t)) return warmup.value(base, t);
  if (warmup_prefix) t -= warmup.steps;
  double length = cycle_steps;
  double peak = base;
  for (int64_t cycle = 0; cycle < cycle_limit; ++cycle) {
    if (t < length) return cosine(peak, min, std::pow(t / length, k_decay));
    t -= length;
    length *= cycle_mul;
    peak *= cycle_decay;
  }
  return min;
}

}  // namespace vitrail::optim
