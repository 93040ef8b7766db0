// The smallest training: fits y = x w + b to noisy points, and checks that it found w and b.
#include <vitrail/autograd/ops.h>
#include <vitrail/core/rng.h>
#include <vitrail/nn/linear.h>
#include <vitrail/optim/adamw.h>

#include <cmath>
#include <cstdio>

using namespace vitrail;

int main() {
  Rng rng(0, "points");
  const Tensor x = rng.normal({256, 3}, 0, 1), w = tensor<float>({2, -1, 0.5f}, {1, 3});
  const Tensor y = linear(x, w, {}) + 0.25 + rng.normal({256, 1}, 0, 0.01);

  nn::Linear model(nn::Scope(0), 3, 1);
  optim::AdamW optimizer({{.parameters = model.parameters()}});
  for (int step = 0; step < 400; ++step) {
    ag::Tape tape;
    const ag::Var loss = mse(model(x), y);
    tape.backward(loss);
    optimizer.step(0.05, 0);
    optimizer.zero_grad();
    if (step % 100 == 0) std::printf("step %3d  loss %.5f\n", step, loss.item());
  }
  std::printf("weight %s  bias %s\n", to_string(model.weight.value()).c_str(), to_string(model.bias->value()).c_str());

  double worst = std::abs(model.bias->value().item() - 0.25);
  for (size_t i = 0; i < 3; ++i)
    worst = std::max(worst, std::abs(model.weight.value().to_vector()[i] - w.to_vector()[i]));
  return worst < 0.01 ? 0 : 1;
}
