// A differentiable operation in a file of your own: squared ReLU (So et al. 2021), checked against differences.
#include <vitrail/autograd/gradcheck.h>
#include <vitrail/autograd/ops.h>

#include <cstdio>

using namespace vitrail;

namespace mine {

/// max(x, 0)^2, element by element. record() takes the name, the result, the inputs, and a function from the result's
/// gradient to the inputs' gradients. The function captures tensors, never a Var.
ag::Var squared_relu(const ag::Var& x) {
  const Tensor positive = relu(x.value());
  return ag::record("squared_relu", positive * positive, {x}, [positive](const Tensor& dy, ag::Sink& dx) {
    dx.add(0, 2 * dy * positive);  // d(r^2)/dx = 2 r
  });
}

}  // namespace mine

int main() {
  const auto fn = [](const ag::Vars& v) { return mine::squared_relu(v[0]) * v[1]; };
  const ag::GradReport report = ag::gradcheck(fn, {Shape{4, 3}, Shape{3}});
  std::printf("squared_relu: %s\n", to_string(report).c_str());
  return report.ok ? 0 : 1;
}
