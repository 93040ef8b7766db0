#include "vitrail/autograd/tape.h"

#include "vitrail/autograd/macs.h"
#include "vitrail/autograd/profile.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops/elementwise.h"
#include "vitrail/core/ops/reduce.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace vitrail::ag {
namespace {

std::atomic<uint64_t> next_serial{1};
thread_local Tape* live_tape = nullptr;
thread_local std::vector<Parameter*>* watched_leaves = nullptr;  // while recompute() runs its function the first time
thread_local bool tracing = false;
thread_local const GradHook* innermost_hook = nullptr;
thread_local int64_t macs_recorded = 0;  // macs() at the last record()

/// Sets the live tape (or none) for a scope and restores the previous one.
class LiveTapeScope {
 public:
  explicit LiveTapeScope(Tape* tape) : outer_(std::exchange(live_tape, tape)) {}
  ~LiveTapeScope() { live_tape = outer_; }
  LiveTapeScope(const LiveTapeScope&) = delete;
  LiveTapeScope& operator=(const LiveTapeScope&) = delete;

 private:
  Tape* outer_;
};

void expect_finite(const char* op, const char* what, const Tensor& t) {
  if (!tracing || !t.defined() || !is_floating(t.dtype())) return;
  check<NumericError>(core::all_finite(t), op, "is the first operation with a NaN or infinity in its {}: {}", what, t);
}

}  // namespace

Var::Var(Parameter& p) : value_(p.value()), parameter_(&p) {
  if (!p.requires_grad()) {
    if (live_tape) live_tape->pin(p);  // closures hold the elements of frozen parameters too
    return;
  }
  if (live_tape) {
    slot_ = live_tape->leaf(p);
    tape_ = live_tape->serial_;
  } else if (watched_leaves && std::find(watched_leaves->begin(), watched_leaves->end(), &p) == watched_leaves->end()) {
    watched_leaves->push_back(&p);
  }
}

Tensor Var::value_as(DType dtype) const { return parameter_ ? parameter_->value_as(dtype) : value_.to(dtype); }

Var recomputable(Var y, std::function<Tensor()> again) {
  if (y.requires_grad()) y.again_ = std::make_shared<const std::function<Tensor()>>(std::move(again));
  return y;
}

Saved::Saved(const Var& x, DType dtype) : again_(x.again_), dtype_(dtype) {
  if (!again_) tensor_ = x.value_as(dtype);
}

Tensor Saved::get() const { return again_ ? (*again_)().to(dtype_) : tensor_; }

Tape::Tape() : serial_(next_serial++), outer_(live_tape) { live_tape = this; }

Tape::~Tape() {
  if (live_) live_tape = outer_;
  unpin();
}

void Tape::pin(Parameter& p) {
  if (std::find(pinned_.begin(), pinned_.end(), &p) != pinned_.end()) return;
  ++p.pins_;
  pinned_.push_back(&p);
}

void Tape::unpin() {
  for (Parameter* p : pinned_) --p->pins_;
  pinned_.clear();
}

int32_t Tape::add_slot(const Tensor& value) {
  slots_.push_back({value.shape(), value.dtype(), Tensor(), nullptr, false});
  return int32_t(slots_.size()) - 1;
}

Var Tape::as_variable(Tensor value, int32_t slot) const {
  Var v(std::move(value));
  v.slot_ = slot;
  v.tape_ = serial_;
  return v;
}

int32_t Tape::leaf(Parameter& p) {
  for (const auto& [parameter, slot] : leaves_)
    if (parameter == &p) return slot;
  const int32_t slot = add_slot(p.value());
  slots_.back().parameter = &p;
  // A leaf is a node at the position of its first use: when the sweep reaches it, all its uses have been swept.
  nodes_.push_back({"parameter", PathScope::current(), {}, {}, slot, memory::live_bytes()});
  leaves_.emplace_back(&p, slot);
  pin(p);
  return slot;
}

Var Tape::input(Tensor x) {
  check<TapeError>(live_, "tape", "an input was given to a tape already swept");
  const int32_t slot = add_slot(x);
  slots_.back().keep = true;
  return as_variable(std::move(x), slot);
}

const Tensor& Tape::grad(const Var& input) const {
  check<TapeError>(input.tape_ == serial_ && input.slot_ >= 0 && slots_[size_t(input.slot_)].keep, "tape",
                   "grad() takes a variable made by this tape's input()");
  check<TapeError>(!live_, "tape", "grad() is known after backward() only");
  return slots_[size_t(input.slot_)].grad;
}

void Tape::expect_mine(const Var& x, const char* op, int position) const {
  if (x.slot_ < 0 || x.tape_ == serial_) return;
  const bool outer = outer_ && outer_->live_ && x.tape_ == outer_->serial_;
  fail<TapeError>("tape",
                  outer ? "input {} of '{}' is from an outer tape; give it to this one with input()"
                        : "input {} of '{}' is from a tape already swept; detach() it or run its forward again",
                  position, op);
}

Var record(const char* op, Tensor y, std::span<const Var> xs, Backward backward) {
  expect_finite(op, "result", y);
  const int64_t done = macs(), op_macs = done - std::exchange(macs_recorded, done);
  int64_t io_bytes = y.nbytes();
  for (const Var& x : xs) io_bytes += x.defined() ? x.value().nbytes() : 0;
  if (Profile* profile = Profile::current()) profile->lap(op, op_macs, io_bytes);
  bool wanted = false;
  for (size_t i = 0; i < xs.size(); ++i) {
    if (live_tape) live_tape->expect_mine(xs[i], op, int(i));
    check<TapeError>(
        !watched_leaves || live_tape || xs[i].slot_ < 0, "recompute",
        "input {} of '{}' is a variable from outside the function; only its argument and parameters may be "
        "used",
        i, op);
    wanted |= xs[i].slot_ >= 0;
  }
  if (!live_tape || !wanted) return Var(std::move(y));

  Tape& tape = *live_tape;
  const int32_t output = tape.add_slot(y);
  std::vector<int32_t> inputs;
  inputs.reserve(xs.size());
  for (const Var& x : xs) inputs.push_back(x.slot_);
  tape.nodes_.push_back({op, PathScope::current(), std::move(backward), std::move(inputs), output, memory::live_bytes(),
                         op_macs, io_bytes});
  return tape.as_variable(std::move(y), output);
}

void Tape::backward(const Var& loss) {
  check<TapeError>(loss.value().numel() == 1, "backward",
                   "needs one number to differentiate, was given {}; pass the "
                   "gradient of the result as a second argument",
                   loss.shape());
  backward(loss, ones(loss.shape(), loss.dtype()));
}

void Tape::backward(const Var& y, Tensor dy) {
  check<TapeError>(live_, "backward", "this tape was swept already; make a new Tape and run the forward again");
  check<TapeError>(live_tape == this, "backward", "an inner tape is still live");
  check<TapeError>(y.slot_ >= 0, "backward", "the result depends on no parameter or input that requires a gradient");
  expect_mine(y, "backward", 0);
  check<ShapeError>(dy.shape() == y.shape() && dy.dtype() == y.dtype(), "backward",
                    "the gradient is {} {}, the result {} {}", dy.dtype(), dy.shape(), y.dtype(), y.shape());
  live_ = false;
  live_tape = outer_;
  const LiveTapeScope nothing_recorded(nullptr);

  slots_[size_t(y.slot_)].grad = std::move(dy);
  while (!nodes_.empty()) {
    const Node node = std::move(nodes_.back());
    nodes_.pop_back();
    Slot& slot = slots_[size_t(node.output)];
    Tensor g = std::move(slot.grad);
    slot.grad = Tensor();
    if (!g.defined()) continue;  // the loss does not depend on this node
    const PathScope path(node.path);
    if (slot.parameter) {
      deliver(*slot.parameter, std::move(g));
      continue;
    }
    sweeping_ = node.op;
    Sink sink(*this, node.inputs);
    node.backward(g, sink);
    if (Profile* profile = Profile::current())
      profile->lap(std::string(node.op) + " backward", 2 * node.macs, 2 * node.io_bytes);
    for (int32_t input : node.inputs)
      if (input >= 0) expect_finite(node.op, "gradient", slots_[size_t(input)].grad);
  }
  unpin();
}

void Tape::deliver(Parameter& p, Tensor g) {
  if (deliver_) return deliver_(p, std::move(g));
  if (p.grad().defined()) {
    core::add_(p.grad(), g);
  } else {
    MemoryOwner owner("gradients");
    // Later code scales gradients in place, so this gradient must not share its elements.
    p.grad() = g.unique() && g.is_contiguous() ? std::move(g) : g.clone();
  }
  if (const GradHook::Function* hook = GradHook::current()) (*hook)(p);
}

std::vector<TapeEntry> Tape::report() const {
  std::vector<TapeEntry> entries;
  int64_t before = nodes_.empty() ? 0 : nodes_.front().bytes;
  for (const Node& node : nodes_) {
    entries.push_back({node.op, node.path, slots_[size_t(node.output)].shape, node.bytes - before});
    before = node.bytes;
  }
  return entries;
}

bool Sink::wants(int i) const {
  check<TapeError>(i >= 0 && size_t(i) < slots_.size(), tape_.sweeping_, "its backward names input {} of {}", i,
                   slots_.size());
  return slots_[size_t(i)] >= 0;
}

void Sink::add(int i, Tensor g) {
  if (!wants(i)) return;
  tape_.accumulate(slots_[size_t(i)], std::move(g), tape_.sweeping_);
}

void Tape::accumulate(int32_t index, Tensor g, const char* op) {
  Slot& slot = slots_[size_t(index)];
  if (!(g.shape() == slot.shape)) g = core::sum_to(g, slot.shape);
  check<ShapeError>(g.dtype() == slot.dtype, op, "its backward gave a {} gradient for a {} input {}", g.dtype(),
                    slot.dtype, slot.shape);
  if (!slot.grad.defined()) {
    slot.grad = std::move(g);
  } else if (slot.grad.unique() && slot.grad.is_contiguous()) {
    core::add_(slot.grad, g);
  } else {
    slot.grad = core::add(slot.grad, g);
  }
}

Tensor& Sink::buffer(int i) {
  check<TapeError>(wants(i), tape_.sweeping_, "its backward asked for the gradient of a constant");
  Tape::Slot& slot = tape_.slots_[size_t(slots_[size_t(i)])];
  if (!slot.grad.defined()) slot.grad = zeros(slot.shape, slot.dtype);
  if (!slot.grad.unique() || !slot.grad.is_contiguous()) slot.grad = slot.grad.clone();
  return slot.grad;
}

NoGrad::NoGrad() : outer_(std::exchange(live_tape, nullptr)) {}
NoGrad::~NoGrad() { live_tape = outer_; }

GradHook::GradHook(Function fn) : fn_(std::move(fn)), outer_(std::exchange(innermost_hook, this)) {}
GradHook::~GradHook() { innermost_hook = outer_; }
const GradHook::Function* GradHook::current() {
  return innermost_hook && innermost_hook->fn_ ? &innermost_hook->fn_ : nullptr;
}

Var recompute(const std::function<Var(const Var&)>& fn, const Var& x) {
  if (!live_tape) return fn(x.detach());
  const RandomScope::State random = RandomScope::state();
  const DType compute = Autocast::dtype();
  std::vector<Parameter*> parameters;
  Tensor y;
  {
    const NoGrad not_recorded;
    struct Watch {
      std::vector<Parameter*>* outer;
      ~Watch() { watched_leaves = outer; }
    } watch{std::exchange(watched_leaves, &parameters)};
    y = fn(x.detach()).value();
  }
  std::vector<Var> inputs{x};
  for (Parameter* p : parameters) inputs.emplace_back(*p);
  return record("recompute", std::move(y), inputs,
                [fn, value = x.value(), parameters, random, compute](const Tensor& dy, Sink& dx) {
                  const Autocast autocast(compute);
                  const RandomScope same_numbers(random.seed, random.step);
                  RandomScope::state().draws = random.draws;
                  Tape inner;
                  inner.deliver_ = [&](Parameter& p, Tensor g) {
                    const auto found = std::find(parameters.begin(), parameters.end(), &p);
                    check<TapeError>(found != parameters.end(), "recompute",
                                     "the second run used '{}', which the first did not", p.name());
                    dx.add(1 + int(found - parameters.begin()), std::move(g));
                  };
                  const Var input = dx.wants(0) ? inner.input(value) : Var(value);
                  inner.backward(fn(input), dy);
                  if (dx.wants(0) && inner.grad(input).defined()) dx.add(0, inner.grad(input));
                });
}

TraceNonFinite::TraceNonFinite() : outer_(std::exchange(tracing, true)) {}
TraceNonFinite::~TraceNonFinite() { tracing = outer_; }

}  // namespace vitrail::ag
