// The tape: a scoped list of closures. An op computes its result and calls record(). backward() walks the list once
// from the end, gives each node the gradient of its output and then destroys both, so memory falls at every step.
#pragma once

#include "vitrail/autograd/parameter.h"
#include "vitrail/core/tensor.h"

#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace vitrail::ag {

/// A tensor and, if gradients flow to it, its slot on the live tape. Cheap to copy.
class Var {
 public:
  Var() = default;                                       // undefined, e.g. the bias of a layer without one
  Var(Tensor constant) : value_(std::move(constant)) {}  // NOLINT(google-explicit-constructor)
  Var(Parameter& p);                                     // NOLINT: p's leaf on the live tape
  Var(const ParameterValue&) = delete;                   // write p, not p.value(): see ParameterValue

  /// The tensor and its properties. All but defined() need a defined variable.
  const Tensor& value() const { return value_; }
  /// The value in another floating type. A parameter's conversion is kept until its next update.
  Tensor value_as(DType dtype) const;
  /// defined() is false for Var(). The others describe the value, and need one.
  bool defined() const { return value_.defined(); }
  const Shape& shape() const { return value_.shape(); }
  int64_t size(int axis) const { return value_.size(axis); }
  int rank() const { return value_.rank(); }
  DType dtype() const { return value_.dtype(); }
  /// The only element, as double.
  double item() const { return value_.item(); }
  /// Whether gradients flow to it: it has a slot on a tape.
  bool requires_grad() const { return slot_ >= 0; }
  /// The same value as a constant.
  Var detach() const { return Var(value_); }

 private:
  friend class Tape;
  friend class Saved;
  friend Var record(const char*, Tensor, std::span<const Var>, std::function<void(const Tensor&, class Sink&)>);
  friend Var recomputable(Var, std::function<Tensor()>);
  Tensor value_;
  std::shared_ptr<const std::function<Tensor()>> again_;  // see recomputable()
  const Parameter* parameter_ = nullptr;
  int32_t slot_ = -1;
  uint64_t tape_ = 0;  // serial number of the slot's tape
};

/// Takes the gradients that a backward function computes; i is the position in record()'s input list.
class Sink {
 public:
  /// False for constants and frozen parameters: skip the work.
  bool wants(int i) const;
  /// Undoes broadcasting, checks shape and type, accumulates.
  void add(int i, Tensor g);
  /// The accumulator itself, zeros at first, for gradients that touch only a part of it: slice, embedding.
  Tensor& buffer(int i);

 private:
  friend class Tape;
  Sink(class Tape& tape, std::span<const int32_t> slots) : tape_(tape), slots_(slots) {}
  class Tape& tape_;
  std::span<const int32_t> slots_;
};

using Backward = std::function<void(const Tensor& dy, Sink& dx)>;

/// One recorded operation, as report() shows it.
struct TapeEntry {
  std::string op;
  std::string path;   // module that ran it
  Shape shape;        // of the output
  int64_t bytes = 0;  // growth of live tensor memory since the previous entry
};

/// Records ops on this thread from construction to backward() or destruction. Tapes nest.
/// Thread: use a tape on the thread that made it.
class Tape {
 public:
  Tape();
  ~Tape();  // also when a step throws: unpins parameters, restores the outer tape
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// A differentiable input that is not a parameter; see grad().
  Var input(Tensor x);
  /// One sweep from the end with gradient 1; loss has one element. This ends the tape: a second call throws TapeError,
  /// and so does an op on one of its variables.
  void backward(const Var& loss);
  void backward(const Var& y, Tensor dy);
  /// After backward: the gradient of an input(), undefined if none reached it.
  const Tensor& grad(const Var& input) const;
  std::vector<TapeEntry> report() const;

 private:
  friend class Var;
  friend class Sink;
  friend Var record(const char*, Tensor, std::span<const Var>, Backward);
  friend Var recompute(const std::function<Var(const Var&)>&, const Var&);

  struct Node {
    const char* op;
    std::string path;
    Backward backward;
    std::vector<int32_t> inputs;
    int32_t output;
    int64_t bytes;         // live when it was recorded
    int64_t macs = 0;      // of its forward
    int64_t io_bytes = 0;  // of its inputs and its output
  };
  struct Slot {
    Shape shape;
    DType dtype;
    Tensor grad;
    Parameter* parameter = nullptr;
    bool keep = false;  // an input(): its gradient outlives the sweep
  };
  /// Takes a parameter's final gradient; the default adds it to Parameter::grad().
  using Deliver = std::function<void(Parameter&, Tensor)>;

  int32_t add_slot(const Tensor& value);
  int32_t leaf(Parameter& p);
  Var as_variable(Tensor value, int32_t slot) const;
  void expect_mine(const Var& x, const char* op, int position) const;
  void accumulate(int32_t slot, Tensor g, const char* op);
  void deliver(Parameter& p, Tensor g);
  void pin(Parameter& p);
  void unpin();

  uint64_t serial_;
  Tape* outer_;
  bool live_ = true;
  std::vector<Node> nodes_;
  std::vector<Slot> slots_;
  std::vector<std::pair<Parameter*, int32_t>> leaves_;  // in order of first use
  std::vector<Parameter*> pinned_;                      // they may not change while the tape lives
  Deliver deliver_;
  const char* sweeping_ = "";
};

/// Appends a node if a tape is live and some input requires grad; else returns y as a constant. The closure captures
/// the tensors it needs, never a Var.
Var record(const char* op, Tensor y, std::span<const Var> xs, Backward backward);
inline Var record(const char* op, Tensor y, std::initializer_list<Var> xs, Backward backward) {
  return record(op, std::move(y), std::span<const Var>(xs.begin(), xs.size()), std::move(backward));
}

/// Marks y as cheap to compute again: again() does so from tensors that stay alive anyway. An op that needs y in its
/// backward function captures Saved(y, type), which keeps no memory; the sweep calls again() instead.
Var recomputable(Var y, std::function<Tensor()> again);

/// The value of a variable, for a closure to capture: the tensor, or the function that computes it again.
class Saved {
 public:
  Saved(const Var& x, DType dtype);
  /// The value in the type given to the constructor; runs again() if the tensor was not kept.
  Tensor get() const;

 private:
  Tensor tensor_;
  std::shared_ptr<const std::function<Tensor()>> again_;
  DType dtype_;
};

/// Scope in which nothing is recorded.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  Tape* outer_;
};

/// Scope: each sweep on this thread calls fn(p) once for each parameter that it reaches, when p's gradient is final in
/// that sweep and added to p.grad(). The sweeps inside a recomputed part do not call it: their gradients
/// reach the parameter through the outer sweep. The innermost scope counts alone; an empty fn silences the outer ones,
/// for sweeps after which the gradient still grows.
class GradHook {
 public:
  using Function = std::function<void(Parameter&)>;

  explicit GradHook(Function fn);
  ~GradHook();
  GradHook(const GradHook&) = delete;
  GradHook& operator=(const GradHook&) = delete;
  /// The function of the innermost scope; null without a scope or if it is empty.
  static const Function* current();

 private:
  const Function fn_;
  const GradHook* outer_;
};

/// fn(x), keeping only x. The sweep runs fn again with the same random numbers and the same autocast. fn may use
/// parameters, but no other variable of the tape. Known as gradient checkpointing: Chen et al. 2016 (arXiv:1604.06174).
Var recompute(const std::function<Var(const Var&)>& fn, const Var& x);

/// Scope that checks every result and gradient for NaN and infinity. Throws NumericError naming the first operation
/// that produced one and its module. Slow: use it to find the cause of a non-finite loss.
class TraceNonFinite {
 public:
  TraceNonFinite();
  ~TraceNonFinite();
  TraceNonFinite(const TraceNonFinite&) = delete;
  TraceNonFinite& operator=(const TraceNonFinite&) = delete;

 private:
  bool outer_;
};

}  // namespace vitrail::ag
