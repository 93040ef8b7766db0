#include "vitrail/autograd/ops.h"

namespace vitrail::ag {
Var reshape(const Var& x, std::initializer_list<int64_t> sizes) {
  return record("reshape", x.value().contiguous().reshape(sizes), {x},
                [shape = x.shape()](const Tensor& dy, Sink& dx) { dx.add(0, dy.contiguous().reshape(shape)); });
}

Var transpose(const Var& x, int a, int b) {
  return record("transpose", x.value().transpose(a, b), {x},
                [a, b](const Tensor& dy, Sink& dx) { dx.add(0, dy.transpose(a, b)); });
}

Var permute(const Var& x, const std::vector<int>& axes) {
  Tensor y = x.value().permute(axes);
  std::vector<int> inverse(axes.size());
  for (size_t i = 0; i < axes.size(); ++i) inverse[size_t(x.shape().normalize_axis(axes[i]))] = int(i);
  return record("permute", std::move(y), {x},
                [inverse](const Tensor& dy, Sink& dx) { dx.add(0, dy.permute(inverse)); });
}

Var slice(const Var& x, int axis, int64_t begin, int64_t end) {
  return record("slice", x.value().slice(axis, begin, end), {x}, [axis, begin, end](const Tensor& dy, Sink& dx) {
    Tensor part = dx.buffer(0).slice(axis, begin, end);
    core::add_(part, dy);
  });
}

Var select(const Var& x, int axis, int64_t index) {
  return record("select", x.value().select(axis, index), {x}, [axis, index](const Tensor& dy, Sink& dx) {
    Tensor part = dx.buffer(0).select(axis, index);
    core::add_(part, dy);
  });
}

Var expand(const Var& x, const Shape& shape) {
  return record("expand", x.value().expand(shape), {x}, [](const Tensor& dy, Sink& dx) { dx.add(0, dy); });
}

}  // namespace vitrail::ag
