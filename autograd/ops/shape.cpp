#include "vitrail/autograd/ops/shape.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops/elementwise.h"

namespace vitrail::ag {
namespace {

/// x, copied if it is strided, in another shape.
Var reshaped(const Var& x, Tensor y) {
  return record("reshape", std::move(y), {x},
                [shape = x.shape()](const Tensor& dy, Sink& dx) { dx.add(0, dy.contiguous().reshape(shape)); });
}

}  // namespace

Var reshape(const Var& x, std::initializer_list<int64_t> sizes) {
  return reshaped(x, x.value().contiguous().reshape(sizes));
}
Var reshape(const Var& x, const Shape& shape) { return reshaped(x, x.value().contiguous().reshape(shape)); }
Var flatten(const Var& x, int first, int last) { return reshape(x, core::flat_shape(x.shape(), first, last)); }
Var squeeze(const Var& x, int axis) { return reshaped(x, x.value().squeeze(axis)); }
Var unsqueeze(const Var& x, int axis) { return reshaped(x, x.value().unsqueeze(axis)); }

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

Var concat(const std::vector<Var>& parts, int axis) {
  std::vector<Tensor> values;
  std::vector<int64_t> sizes;
  for (const Var& part : parts) {
    values.push_back(part.value());
    sizes.push_back(part.size(axis));
  }
  return record("concat", core::concat(values, axis), parts, [sizes, axis](const Tensor& dy, Sink& dx) {
    int64_t begin = 0;
    for (size_t i = 0; i < sizes.size(); ++i) {
      dx.add(int(i), dy.slice(axis, begin, begin + sizes[i]));
      begin += sizes[i];
    }
  });
}

Var stack(const std::vector<Var>& parts, int axis) {
  std::vector<Tensor> values;
  values.reserve(parts.size());
  for (const Var& part : parts) values.push_back(part.value());
  return record("stack", core::stack(values, axis), parts, [axis, n = parts.size()](const Tensor& dy, Sink& dx) {
    for (size_t i = 0; i < n; ++i) dx.add(int(i), dy.select(axis, int64_t(i)));
  });
}

std::vector<Var> split(const Var& x, const std::vector<int64_t>& sizes, int axis) {
  std::vector<Var> parts;
  int64_t at = 0;
  for (int64_t size : sizes) {
    parts.push_back(slice(x, axis, at, at + size));
    at += size;
  }
  check<ShapeError>(at == x.size(axis), "split", "the sizes add up to {}, axis {} of {} has {}", at, axis, x.shape(),
                    x.size(axis));
  return parts;
}
std::vector<Var> split(const Var& x, int64_t size, int axis) {
  return split(x, core::split_sizes(x.size(axis), size), axis);
}
std::vector<Var> chunk(const Var& x, int64_t count, int axis) {
  return split(x, core::chunk_sizes(x.size(axis), count), axis);
}

Var flip(const Var& x, const Axes& axes) {
  return record("flip", core::flip(x.value(), axes), {x},
                [axes](const Tensor& dy, Sink& dx) { dx.add(0, core::flip(dy, axes)); });
}

Var roll(const Var& x, int64_t shift, int axis) { return roll(x, std::vector{shift}, {axis}); }
Var roll(const Var& x, const std::vector<int64_t>& shifts, const std::vector<int>& axes) {
  std::vector<int64_t> back;
  back.reserve(shifts.size());
  for (int64_t shift : shifts) back.push_back(-shift);
  return record("roll", core::roll(x.value(), shifts, axes), {x},
                [back, axes](const Tensor& dy, Sink& dx) { dx.add(0, core::roll(dy, back, axes)); });
}

Var pad(const Var& x, const std::vector<int64_t>& pads, double value) {
  return record("pad", core::pad(x.value(), pads, value), {x},
                [pads](const Tensor& dy, Sink& dx) { dx.add(0, core::unpad(dy, pads)); });
}

}  // namespace vitrail::ag
