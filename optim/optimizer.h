// Optimizer: updates parameters from their gradients. The base class has the groups, a step count for each parameter
// and the named state. Each kind of optimizer supplies the update of one parameter.
#pragma once

#include "vitrail/autograd/parameter.h"
#include "vitrail/core/tensor_map.h"

#include <string>
#include <vector>

namespace vitrail::optim {

/// Parameters that share one scale of the learning rate and one of the weight decay.
struct ParamGroup {
  std::vector<ag::Parameter*> parameters;  // must outlive the optimizer
  double lr_scale = 1;
  double weight_decay_scale = 1;  // 0: never decayed
};

/// Base of the optimizers: groups of parameters, their moments and the number of steps. Derived classes update one
/// parameter at a time.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Updates every parameter that has a gradient. A parameter without one is skipped: no decay, no moments, no step
  /// counted.
  /// Throws: ShapeError if a gradient differs from its parameter in shape or type; TapeError if a live tape uses the
  /// parameter.
  void step(double lr, double weight_decay);
  /// Drops all gradients.
  void zero_grad();
  /// Replaces the scale of one parameter's learning rate. 0 keeps its value while its moments go on. The scale is no
  /// part of state(). Throws ConfigError for a parameter that the optimizer does not have.
  void set_lr_scale(const ag::Parameter& parameter, double scale);

  /// "NAME/step" (i64) for each parameter, and its moments ("NAME/exp_avg") once it has been updated. Shares the
  /// elements: the next step changes them.
  TensorMap state() const;
  /// Bytes that state() still grows by until every parameter has been updated.
  int64_t missing_bytes() const;
  /// Copies a state in. Throws ConfigError for a missing or unknown name, ShapeError for another shape or type; nothing
  /// has changed then.
  void load_state(const TensorMap& state);

 protected:
  /// One parameter with its history.
  struct Slot {
    ag::Parameter* parameter = nullptr;
    double lr_scale = 1;
    double weight_decay_scale = 1;
    int64_t step = 0;             // updates so far, including the current one
    std::vector<Tensor> moments;  // in the order of moment_names; zeros before the first update
  };
  /// The arguments of one update of one parameter. lr and weight_decay include the scales of its group.
  struct UpdateArgs {
    Tensor& value;
    const Tensor& grad;  // dense
    Slot& slot;
    double lr, weight_decay;
  };

  /// Throws ConfigError unless both are at least 0 and less than 1: moments are divided by 1 - beta^t.
  static void check_betas(double beta1, double beta2);
  /// Throws ConfigError if there are no parameters, or if two have the same name.
  Optimizer(const std::vector<ParamGroup>& groups, std::vector<std::string> moment_names);
  /// Runs before the updates of a step, for quantities that depend on all gradients.
  virtual void begin_step(const std::vector<Slot>&) {}
  /// Updates one parameter in place from its gradient.
  virtual void update(const UpdateArgs& u) = 0;

 private:
  std::vector<std::string> moment_names_;
  std::vector<Slot> slots_;
};

}  // namespace vitrail::optim
